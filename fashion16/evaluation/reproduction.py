"""What `make reproduce` leaves in docs/reproduction.json, as far as the Metrics page shows it.

The experiments write more into the same file, which is theirs alone: experiments/paper/report.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from fashion16.estimate import Figure
from fashion16.evaluation.figures import BothWays


@dataclass(frozen=True)
class Timing(Figure):
    """Seconds: their mean with its normal interval, their median and their 95th percentile."""

    median: float
    p95: float


@dataclass(frozen=True)
class OverSeeds(Figure):
    """The mean over the orders of a gallery, and the lowest and the highest of one order."""

    lowest: float
    highest: float


@dataclass(frozen=True)
class SizePoint:
    """What a search finds in a gallery of this size.

    Attributes:
        items: pictures in the gallery.
        precision, low, high, n, lowest, highest: precision@20 in the predicted category, as `OverSeeds`.
        classification: the accuracy on all test pictures.
        direct: precision@20 in all categories at once.
        without_labels: precision@20 in the predicted category where each item lies where the head puts it.
    """

    items: int
    precision: float
    low: float
    high: float
    n: int
    lowest: float
    highest: float
    classification: OverSeeds
    direct: OverSeeds
    without_labels: OverSeeds

    @property
    def precision_at_20(self) -> OverSeeds:
        """Its precision as a figure."""
        return OverSeeds(self.precision, self.low, self.high, self.n, self.lowest, self.highest)


@dataclass(frozen=True)
class Searched:
    """What searches took and found.

    Attributes:
        seconds: from the photo's bytes to results.
        search_seconds: of the search alone.
        recall_at_20: against the exact neighbours where it searched.
        recall_of_everything: against those in all categories.
        candidates: codes that were compared, the mean.
    """

    seconds: Timing
    search_seconds: Timing
    precision_at_20: Figure
    recall_at_20: Figure
    recall_of_everything: Figure
    candidates: float


@dataclass(frozen=True)
class Searches(BothWays[Searched]):
    """Searches in a gallery of this size, both ways.

    Attributes:
        direct_to_in_category: how many times as long a direct search takes.
        synthetic: whether items are distorted embeddings of real ones.
        load_before: processes that wanted a core before; None where the system does not say.
    """

    items: int
    direct_to_in_category: float
    synthetic: bool = False
    load_before: float | None = None


@dataclass(frozen=True)
class TriedHead:
    """The settings of a head, and how often it is right on the validation split."""

    dimensions: int
    penalty: float
    accuracy: float


@dataclass(frozen=True)
class Features:
    """What features of one kind are worth.

    Attributes:
        without_descriptors: the share of the test pictures of which there was nothing to tell.
        ms_per_picture: the median, one picture at a time, to its vector.
        dimensions: values of a vector.
        penalty, tried: the head's, and what was tried; None and empty where another classifier takes its place.
        settings, classified_by_dimensions: of that other classifier.
    """

    name: str
    accuracy: Figure
    precision_at_20_in_category: Figure
    precision_at_20_direct: Figure
    without_descriptors: float
    ms_per_picture: float
    dimensions: int
    penalty: float | None = None
    tried: list[TriedHead] = field(default_factory=list)
    settings: dict[str, float] | None = None
    classified_by_dimensions: int | None = None


@dataclass(frozen=True)
class ByFeatures:
    """Classification by kind of features.

    Attributes:
        cnn: the encoder's embeddings.
        methods: SIFT and HOG.
        missing: why nothing was measured; empty where something was.
    """

    cnn: Features | None = None
    methods: list[Features] = field(default_factory=list)
    missing: str = ""


@dataclass(frozen=True, kw_only=True)
class Reproduction:
    """The paper's experiments on our data.

    Attributes:
        searches: by size, the collection itself first.
        seconds_in_category, seconds_direct: of the first of them.
        sift_precision: of the method of SIFT that is most often right.
    """

    retrieval_by_size: list[SizePoint] = field(default_factory=list)
    searches: list[Searches] = field(default_factory=list)
    seconds_in_category: Timing | None = None
    seconds_direct: Timing | None = None
    sift: ByFeatures = field(default_factory=ByFeatures)
    sift_precision: Figure | None = None


def read(path: Path) -> Reproduction | None:
    """What lies in the file; None where there is none yet, or one that is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Reproduction)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None
