"""The softmax head: from an embedding to a probability for each category. Fitted in minutes, no network pass."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from fashion16.errors import HeadError
from fashion16.files import sealed
from fashion16.files.sealed import Seal
from fashion16.search.garments import all_classes
from fashion16.search.references import References
from fashion16.types import Floats, Labels

FORMAT = "fashion16-head"
FORMAT_VERSION = 1
# inverse strength of the L2 penalty; chosen on the validation split among 0.001 to 0.3: as right as 0.03 with all
# labels, righter with 50 or 200 a category, and better calibrated
DEFAULT_C = 0.003
# what all references together count for, against the collection's own pictures; chosen on the validation splits
REFERENCE_WEIGHT = 0.3
# pictures of a label below which a head would learn those pictures and not the garment
LEARNABLE = 10
BINS = 15  # of the calibration curve, as in Guo et al.
HONEST_ENOUGH = 0.03  # expected calibration error up to which probabilities are left as they are


@dataclass(frozen=True)
class CalibrationPoint:
    """Answers of about one confidence: its mean, the share that is right, and how many they are."""

    confidence: float
    accuracy: float
    n: int


def calibration_curve(confidence: Floats, hits: npt.NDArray[np.bool_]) -> list[CalibrationPoint]:
    """Confidence (n,) in [0, 1] against hits (n,), in bins of equal width; empty bins are left out."""
    bins = np.minimum((confidence * BINS).astype(int), BINS - 1)
    return [
        CalibrationPoint(
            float(confidence[bins == number].mean()),
            float(hits[bins == number].mean()),
            int((bins == number).sum()),
        )
        for number in np.unique(bins)
    ]


def expected_calibration_error(confidence: Floats, hits: npt.NDArray[np.bool_]) -> float:
    """Mean distance in [0, 1] between how sure answers are and how often they are right (Guo et al., ICML 2017).

    Of at least one answer.
    """
    curve = calibration_curve(confidence, hits)
    return sum(point.n * abs(point.confidence - point.accuracy) for point in curve) / len(hits)


@dataclass(frozen=True)
class Head:
    """Softmax regression on embeddings.

    Attributes:
        weights: (d, c) float32.
        bias: (c,) float32.
        categories: the c names, in the order of the columns.
        encoder_digest: the encoder whose embeddings it was fitted on.
        label_revision: the catalogue's revision whose labels it was fitted on.
    """

    weights: Floats
    bias: Floats
    categories: tuple[str, ...]
    encoder_digest: str
    label_revision: int

    @classmethod
    def fit(
        cls,
        embeddings: Floats,
        labels: npt.NDArray[np.str_],
        encoder_digest: str,
        label_revision: int,
        c: float = DEFAULT_C,
        references: References | None = None,
    ) -> Head:
        """Fit on embeddings (n, d) and their labels (n,), and on references whose labels mean the same garments.

        Raises:
            HeadError: fewer than two categories, so that there is nothing to tell apart.
        """
        if len(embeddings) != len(labels):
            raise ValueError(f"embeddings and labels must be as many, received {len(embeddings)} and {len(labels)}")
        categories = np.unique(labels)
        if len(categories) < 2:
            raise HeadError(
                f"A head needs pictures of at least two categories, and there are {len(categories)}. "
                "Add pictures with other labels."
            )
        columns = np.searchsorted(categories, labels)
        allowed = references.allowed(categories.tolist()) if references else np.zeros((0, len(categories)), bool)
        useful = allowed.any(axis=1)
        if references is None or not useful.any():
            weights, bias = _regress(embeddings, columns, np.ones(len(columns)), c)
        else:
            weights, bias = _with_references(embeddings, columns, references.embeddings[useful], allowed[useful], c)
        return cls(weights, bias, tuple(str(name) for name in categories), encoder_digest, label_revision)

    @classmethod
    def of_collection(
        cls, embeddings: Floats, today: Labels, encoder_digest: str, references: References | None
    ) -> Head:
        """The head of a collection with these embeddings (n, d) and labels: fitted on its training split, calibrated
        on its validation split.

        Labels with too few pictures are not learnt. Where fewer than two labels can be learnt, the categories are
        the garments that the encoder was trained to tell apart, and the head is fitted on the references alone.

        Raises:
            HeadError: there is nothing to tell apart, and there are no references.
        """
        too_small = [
            label for label, n in zip(*np.unique(today.labels, return_counts=True), strict=True) if n < LEARNABLE
        ]
        known = (today.labels != "") & ~np.isin(today.labels, too_small)
        train, check = known & (today.splits == "train"), known & (today.splits == "validation")
        if references is not None and len(np.unique(today.labels[train])) < 2:
            return cls.of_references(references, today.revision)
        head = cls.fit(embeddings[train], today.labels[train], encoder_digest, today.revision, references=references)
        return head.calibrated(embeddings[check], today.labels[check])

    @classmethod
    def of_references(cls, references: References, label_revision: int = 0) -> Head:
        """A head for pictures without labels: its categories are the garments that the encoder can tell apart."""
        names = all_classes(references.labels.tolist())
        allowed = references.allowed(names)
        own = np.isin(references.labels, names)
        columns = np.searchsorted(names, references.labels[own])
        weights, bias = _with_references(
            references.embeddings[own], columns, references.embeddings[~own], allowed[~own], DEFAULT_C
        )
        return cls(weights, bias, names, references.encoder_digest, label_revision)

    def probabilities(self, embeddings: Floats) -> Floats:
        """One probability per category, shape (n, c), float32; each row sums to 1."""
        n, d = embeddings.shape
        if d != len(self.weights):
            raise ValueError(f"embeddings must have {len(self.weights)} columns, received {embeddings.shape}")
        logits = embeddings @ self.weights + self.bias
        logits -= logits.max(axis=1, keepdims=True)  # exp of a large number would overflow
        exponentials = np.exp(logits)
        result: Floats = exponentials / exponentials.sum(axis=1, keepdims=True)
        return result

    def calibrated(self, embeddings: Floats, labels: npt.NDArray[np.str_]) -> Head:
        """This head, its probabilities made honest on embeddings (n, d) and labels (n,) that it was not fitted on.

        Left as it is where they are honest enough, and where there is nothing to measure by. Temperature scaling:
        Guo et al., "On calibration of modern neural networks", ICML 2017. It never changes which category is first.
        """
        known = np.isin(labels, self.categories)
        embeddings, labels = embeddings[known], labels[known]
        if not len(labels):
            return self
        probabilities = self.probabilities(embeddings)
        hits = np.array(self.categories)[probabilities.argmax(axis=1)] == labels
        if expected_calibration_error(probabilities.max(axis=1), hits) <= HONEST_ENOUGH:
            return self
        from scipy.optimize import minimize_scalar  # here, because serving never fits

        rows, right = np.arange(len(labels)), [self.categories.index(str(label)) for label in labels]

        def cooled(temperature: float) -> Head:
            return replace(
                self, weights=self.weights / np.float32(temperature), bias=self.bias / np.float32(temperature)
            )

        def surprise(log_temperature: float) -> float:
            chances = cooled(np.exp(log_temperature)).probabilities(embeddings)[rows, right]
            return float(-np.log(chances + 1e-12).mean())

        return cooled(float(np.exp(minimize_scalar(surprise, bounds=(-3, 3), method="bounded").x)))

    def predict(self, embeddings: Floats) -> npt.NDArray[np.str_]:
        """The most likely category of each embedding, shape (n,)."""
        names: npt.NDArray[np.str_] = np.array(self.categories)[self.probabilities(embeddings).argmax(axis=1)]
        return names

    def write(self, path: Path) -> None:
        """Write the head beside `path`, then move it over.

        Raises:
            WorkspaceError: the folder may not be written, or the disk is full.
        """
        with sealed.writing(path, FORMAT, FORMAT_VERSION) as file:
            file.attrs["categories"] = json.dumps(self.categories)
            file.attrs["encoder_digest"] = self.encoder_digest
            file.attrs["label_revision"] = self.label_revision
            file["weights"] = self.weights
            file["bias"] = self.bias

    @classmethod
    def read(cls, path: Path) -> Head:
        """The head in an HDF5 file.

        Raises:
            HeadError: the file is missing, damaged, or of a newer version.
        """
        make = f"fashion16 index {path.parent.name}"
        if not path.is_file():
            raise HeadError(f"There is no head at {path}. Make one with: {make}")
        try:
            seal = sealed.check(path, FORMAT, FORMAT_VERSION)
            if seal is Seal.NEWER:
                raise HeadError(f"{path} was written by a newer Fashion-16. Update Fashion-16.")
            if seal is Seal.FOREIGN:
                raise HeadError(f"{path} is not a head. Make one with: {make}")
            if seal is Seal.DAMAGED:
                raise HeadError(f"{path} is damaged: cut off or altered. Make it again with: {make}")
            with h5py.File(path, "r") as file:
                head = cls(
                    file["weights"][:],
                    file["bias"][:],
                    tuple(json.loads(file.attrs["categories"])),
                    str(file.attrs["encoder_digest"]),
                    int(file.attrs["label_revision"]),
                )
        except sealed.UNREADABLE as error:
            raise HeadError(f"{path} is damaged ({error}). Make it again with: {make}") from error
        if head.weights.shape[1:] != head.bias.shape or len(head.bias) != len(head.categories):
            raise HeadError(f"{path} does not fit together. Make it again with: {make}")
        return head


def _regress(
    embeddings: Floats, columns: npt.NDArray[np.int64], sample_weight: npt.NDArray[np.float64], c: float
) -> tuple[Floats, Floats]:
    """Weights (d, k) and bias (k,) of softmax regression on embeddings (n, d), of which each has a column (n,) in k."""
    # here, because serving needs no scikit-learn and its import takes a second and 60 MB
    from sklearn.linear_model import LogisticRegression

    mean, scale = embeddings.mean(axis=0), embeddings.std(axis=0) + 1e-6
    model = LogisticRegression(C=c, max_iter=500, tol=1e-4)
    model.fit((embeddings - mean) / scale, columns, sample_weight=sample_weight)
    coefficients, intercept = model.coef_, model.intercept_
    if len(intercept) == 1:  # scikit-learn keeps one row for two classes
        coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
        intercept = np.concatenate([-intercept / 2, intercept / 2])
    # the standardisation goes into the weights, so that serving is one product
    weights = (coefficients / scale).T
    bias = intercept - mean @ weights
    return weights.astype(np.float32), bias.astype(np.float32)


def _with_references(
    embeddings: Floats, columns: npt.NDArray[np.int64], others: Floats, allowed: npt.NDArray[np.bool_], c: float
) -> tuple[Floats, Floats]:
    """The same, with others (r, d) of which each may be in any column that `allowed` (r, k) has for it.

    First with those that have one column only; then with all, each in the likeliest of its columns.
    """

    def fit(used: npt.NDArray[np.bool_], chosen: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
        share = REFERENCE_WEIGHT * len(embeddings) / max(1, used.sum())
        return _regress(
            np.concatenate([embeddings, others[used]]),
            np.concatenate([columns, chosen[used]]),
            np.concatenate([np.ones(len(embeddings)), np.full(used.sum(), share)]),
            c,
        )

    sure = allowed.sum(axis=1) == 1
    weights, bias = fit(sure, allowed.argmax(axis=1))
    if sure.all():
        return weights, bias
    logits = np.where(allowed, others @ weights + bias, -np.inf)
    return fit(np.ones(len(others), bool), logits.argmax(axis=1))
