"""What an evaluation finds, as evaluation.json keeps it: a dataclass for each part of the file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from fashion16.estimate import Figure
from fashion16.search.head import CalibrationPoint

T = TypeVar("T")


@dataclass(frozen=True)
class BothWays(Generic[T]):
    """The same figures for both ways of searching.

    Attributes:
        in_category: classified first, and then searched in the predicted category.
        direct: searched in all categories at once.
    """

    in_category: T
    direct: T


@dataclass(frozen=True)
class CategoryFigures:
    """How good the guesses of one category are.

    Attributes:
        precision: None where the category is never predicted.
        recall: None where no picture carries it as its label.
        f1: 0 where either is missing.
    """

    precision: Figure | None
    recall: Figure | None
    f1: float


@dataclass(frozen=True)
class Calibration:
    """How far confidence and accuracy agree: the expected calibration error, and the curve it is taken from."""

    expected_error: float
    curve: list[CalibrationPoint]


@dataclass(frozen=True)
class Classification:
    """How often the predicted category is the label.

    Attributes:
        categories: by the category's name.
        confusion: counts, a row a label and a column a predicted category, both in the order of `categories`.
    """

    accuracy: Figure
    categories: dict[str, CategoryFigures]
    confusion: list[list[int]]
    calibration: Calibration


@dataclass(frozen=True)
class Retrieval:
    """How many of the twenty results carry the query's label, and how early they come."""

    precision_at_20: Figure
    map_at_20: Figure


@dataclass(frozen=True)
class CopiesFound:
    """How often a distorted copy finds its original first, and how often among twenty."""

    recall_at_1: Figure
    recall_at_20: Figure


@dataclass(frozen=True)
class IndexRecall:
    """What an index of `n_bits` finds of the twenty nearest with so many probes; None: what a search does by itself."""

    n_bits: int
    n_probes: int | None
    recall_at_20: Figure
    candidates: float


@dataclass(frozen=True)
class FewLabels:
    """The accuracy of a head that was fitted on `per_category` pictures of each category."""

    per_category: int
    accuracy: Figure


@dataclass(frozen=True)
class StepTime:
    """How long a step takes, in milliseconds."""

    median_ms: float
    p95_ms: float


@dataclass(frozen=True)
class Speed:
    """How long each step of a search takes.

    Attributes:
        n: searches.
        cores: those that the process could use.
        machine: their kind.
    """

    prepare: StepTime
    encode: StepTime
    classify: StepTime
    search: StepTime
    total: StepTime
    n: int
    cores: int
    machine: str


@dataclass(frozen=True)
class Counterparts:
    """How often a head of other categories is right, at its first guess and at its first two; by label at its first."""

    accuracy: Figure
    accuracy_of_two_guesses: Figure
    labels: dict[str, Figure]


@dataclass(frozen=True, kw_only=True)
class PhotoFigures:
    """What was found on the public clothing dataset.

    Attributes:
        photos: how many there are.
        ten_classes: None where the archive lacks one of the subset's splits.
        counterparts: the collection's own head on these photos.
    """

    photos: int
    ten_classes: Classification | None = None
    counterparts: Counterparts
    instances: BothWays[CopiesFound]
    retrieval: BothWays[Retrieval]


@dataclass(frozen=True)
class IndexFacts:
    """What an index is known by again: its hyperplanes, and the settings of each category.

    Attributes:
        hyperplanes: the SHA-256 of the planes and of the mean.
        key_bits, n_probes: by category; probes are None where a search chooses them by itself.
    """

    n_bits: int
    hyperplanes: str
    key_bits: dict[str, int]
    n_probes: dict[str, int | None]


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """All of evaluation.json. What has a default is missing in files of older versions.

    Attributes:
        measured_at: ISO 8601, UTC.
        label_revision: the catalogue's, whose labels were read.
        items: pictures in the collection.
        categories: in the order of the confusion matrix.
        index: the served index first, by its probes, then codes of other lengths.
        predictions_digest: the SHA-256 of predictions.parquet; None for a quick evaluation, which writes none.
    """

    measured_at: str
    encoder_digest: str
    head_digest: str | None = None
    label_revision: int
    items: int | None = None
    index_facts: IndexFacts | None = None
    split: str = "test"
    categories: list[str]
    classification: Classification
    retrieval: BothWays[Retrieval]
    instances: BothWays[CopiesFound]
    index: list[IndexRecall]
    few_labels: list[FewLabels]
    speed: Speed | None = None
    photos: PhotoFigures | None = None
    predictions_digest: str | None = None
