"""All of what `make reproduce` finds, as docs/reproduction.json keeps it; the Metrics page reads a part of it."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.machine import Machine
from experiments.paper.histories import Histories
from experiments.paper.precision import ClassificationPrecision, FoundAgain, WrongResults
from experiments.paper.sift import Sift
from fashion16.evaluation.reproduction import Reproduction


@dataclass(frozen=True)
class Sizes:
    """How much is measured.

    Attributes:
        galleries: pictures that the head is fitted on and that are searched, for precision by size.
        seeds: orders of the gallery.
        queries: test pictures that each of these galleries is searched with.
        timed: random queries that are timed.
        synthetic: numbers of synthetic items that are searched; the first is the paper's number of pictures.
        changes: real pictures whose distortion makes synthetic items.
        asked: test pictures for the share of wrong categories.
        copies: distorted copies for what a wrong guess costs.
    """

    galleries: tuple[int, ...]
    seeds: tuple[int, ...]
    queries: int
    timed: int
    synthetic: tuple[int, ...]
    changes: int
    asked: int
    copies: int


@dataclass(frozen=True)
class Step:
    """How many seconds a step took, and when it was measured (ISO 8601, UTC)."""

    seconds: float
    measured_at: str


@dataclass(frozen=True)
class WrongCategories(WrongResults):
    """The same, and what copies whose category is guessed wrong find."""

    found_again: FoundAgain


@dataclass(frozen=True, kw_only=True)
class Report(Reproduction):
    """The whole file.

    Attributes:
        quick: on small samples.
        measured_at, written_at: ISO 8601, UTC; the newest step's, and the file's.
        items, test_pictures: of the collection.
        embeddings_from: what was compared exactly.
        steps: by name.
        sift: with the settings that were chosen.
    """

    quick: bool
    measured_at: str
    written_at: str
    collection: str
    items: int
    test_pictures: int
    encoder_digest: str
    label_revision: int
    embeddings_from: str
    machine: Machine
    sizes: Sizes
    seed: int
    steps: dict[str, Step]
    training: Histories
    classification: ClassificationPrecision
    wrong_categories: WrongCategories
    sift: Sift
