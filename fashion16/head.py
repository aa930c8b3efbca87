"""The softmax head: from an embedding to a probability for each category. Fitted in minutes, no network pass."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from fashion16 import sealed
from fashion16.errors import HeadError
from fashion16.lsh import Floats
from fashion16.sealed import Seal

FORMAT = "fashion16-head"
FORMAT_VERSION = 1
# inverse strength of the L2 penalty; chosen on the validation split among 0.003 to 1
DEFAULT_C = 0.3


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
    ) -> Head:
        """Fit on embeddings (n, d) and their labels (n,).

        Raises:
            HeadError: fewer than two categories, so that there is nothing to tell apart.
        """
        # here, because serving needs no scikit-learn and its import takes a second and 60 MB
        from sklearn.linear_model import LogisticRegression

        if len(embeddings) != len(labels):
            raise ValueError(f"embeddings and labels must be as many, received {len(embeddings)} and {len(labels)}")
        categories = np.unique(labels)
        if len(categories) < 2:
            raise HeadError(
                f"A head needs pictures of at least two categories, and there are {len(categories)}. "
                "Add pictures with other labels."
            )
        mean, scale = embeddings.mean(axis=0), embeddings.std(axis=0) + 1e-6
        model = LogisticRegression(C=c, max_iter=500, tol=1e-4)
        model.fit((embeddings - mean) / scale, labels)
        coefficients, intercept = model.coef_, model.intercept_
        if len(categories) == 2:  # scikit-learn keeps one row for two classes
            coefficients = np.concatenate([-coefficients / 2, coefficients / 2])
            intercept = np.concatenate([-intercept / 2, intercept / 2])
        # the standardisation goes into the weights, so that serving is one product
        weights = (coefficients / scale).T
        bias = intercept - mean @ weights
        return cls(
            weights.astype(np.float32),
            bias.astype(np.float32),
            tuple(str(name) for name in model.classes_),
            encoder_digest,
            label_revision,
        )

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
        except (OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            raise HeadError(f"{path} is damaged ({error}). Make it again with: {make}") from error
        if head.weights.shape[1:] != head.bias.shape or len(head.bias) != len(head.categories):
            raise HeadError(f"{path} does not fit together. Make it again with: {make}")
        return head
