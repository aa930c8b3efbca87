"""What labels mean: the classes that the encoder is trained to tell apart, and labels coarser than they.

Data sets cut clothing differently. "Pullover" of Fashion-MNIST holds what a crawl calls "Longsleeve" and
"Hoodie"; "Shoes" of a crawl holds three categories of Fashion-MNIST. The classes are the finest of all cuts,
and a label stands for one or more of them: a picture may be trained as "one of these".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

# labels that stand for several classes, or for a class of another name; every other label is a class of its own
ONE_OF = {
    "T-shirt/top": ("T-Shirt", "Polo", "Undershirt", "Top"),
    "Trouser": ("Pants",),
    "Pullover": ("Longsleeve", "Hoodie"),
    "Coat": ("Outwear", "Blazer"),
    "Shirt": ("Shirt", "Blouse"),
    "Shoes": ("Sandal", "Sneaker", "Ankle boot"),
}


def classes_of(label: str) -> tuple[str, ...]:
    """The classes that a label stands for."""
    return ONE_OF.get(label, (label,))


def all_classes(labels: Iterable[str]) -> tuple[str, ...]:
    """The classes behind all these labels, sorted."""
    return tuple(sorted({name for label in set(labels) for name in classes_of(label)}))


def targets(labels: Sequence[str] | npt.NDArray[np.str_], classes: Sequence[str]) -> npt.NDArray[np.float32]:
    """A row for each label, shape (n, c): 1 where a class is among those that it stands for, else 0.

    Raises:
        ValueError: a label stands for a class that is not among `classes`.
    """
    column = {name: number for number, name in enumerate(classes)}
    rows = np.zeros((len(labels), len(classes)), np.float32)
    for row, label in enumerate(labels):
        for name in classes_of(str(label)):
            if name not in column:
                raise ValueError(f"“{label}” stands for “{name}”, which is not among the classes")
            rows[row, column[name]] = 1
    return rows


def allowed(labels: npt.NDArray[np.str_], categories: Sequence[str]) -> npt.NDArray[np.bool_]:
    """Whether a garment with each label (n,) may rightly be put into each category, shape (n, c)."""
    names, which = np.unique(labels, return_inverse=True)
    table = np.array([[share_a_class(str(name), str(other)) for other in categories] for name in names], bool)
    found: npt.NDArray[np.bool_] = table.reshape(len(names), len(categories))[which]
    return found


def share_a_class(label: str, category: str) -> bool:
    """Whether a garment with this label may rightly be put into this category of another data set."""
    return not set(classes_of(label)).isdisjoint(classes_of(category))
