"""How many wrong labels stand at the head of the queue: our rankings and cleanlab's, on the same probabilities.

A tenth of the labels is replaced: of Fashion-MNIST's 55,000 training pictures, and of its 15,000 others, from which the
encoder has not learnt. Fashion-MNIST has wrong labels of its own; they take places in the queue and count as not found.

Needs cleanlab, of requirements-dev.txt; takes ten minutes. The constants of `fashion16/labels/issues.py` were chosen on
the training pictures with the seeds 101 to 106.
"""

from __future__ import annotations

from time import perf_counter

import numpy as np
import numpy.typing as npt
from cleanlab.filter import find_label_issues as cleanlab_filter
from cleanlab.rank import get_label_quality_scores as cleanlab_quality
from threadpoolctl import threadpool_limits

from fashion16.collections.embeddings import labelled_embeddings
from fashion16.collections.importing import import_fashion_mnist
from fashion16.collections.workspace import Workspace
from fashion16.labels.issues import FOLDS, copies, deal, find_label_issues, nearest_others, out_of_sample
from fashion16.search.encoder import EncoderCard
from fashion16.types import Floats, Labels

NOISE = 0.1  # share of the labels that are replaced
LOOKED_AT = 0.12  # share of the queue, from its head, in which they are looked for
SEEDS = (16, 17, 18)
MISTAKEN_FOR = {"T-shirt/top": "Shirt", "Pullover": "Coat", "Sneaker": "Ankle boot"}

Mask = npt.NDArray[np.bool_]


def main() -> None:
    """Print the share of the replaced labels that each ranking finds, and the time for all 70,000."""
    workspace = Workspace()
    import_fashion_mnist(workspace.collection())
    digest = EncoderCard.read(workspace.encoder_folder / "encoder.json").digest
    today, embeddings, _ = labelled_embeddings(workspace.collection(), digest)
    start = perf_counter()
    issues = find_label_issues(embeddings, today, digest)
    print(f"{len(issues):,} items as they are, in {perf_counter() - start:.0f} s")
    print(f"likelier wrong than right: {(issues.score > 0.5).sum():,}; with a twin: {(issues.twin >= 0).sum()}")
    train = today.splits == "train"
    for what, rows in (("training pictures", train), ("pictures that the encoder has not learnt from", ~train)):
        for kind, noise in (("any other", any_other), ("Shirt, Coat and Ankle boot", alike)):
            print(f"\n{rows.sum():,} {what}, {NOISE:.0%} of the labels replaced by {kind}")
            print(f"share of them in the first {LOOKED_AT:.0%} of the queue  " + "".join(f"  seed {s}" for s in SEEDS))
            found = [shares_found(embeddings[rows], today.of(rows), noise, seed) for seed in SEEDS]
            for name in found[0]:
                print(f"{name:<48}" + "".join(f"   {one[name]:.4f}" for one in found), flush=True)


def any_other(labels: npt.NDArray[np.str_], rng: np.random.Generator) -> npt.NDArray[np.str_]:
    """A tenth of the labels replaced by any other."""
    names, which = np.unique(labels, return_inverse=True)
    chosen = rng.choice(len(labels), round(NOISE * len(labels)), replace=False)
    which[chosen] = (which[chosen] + rng.integers(1, len(names), len(chosen))) % len(names)
    return names[which]


def alike(labels: npt.NDArray[np.str_], rng: np.random.Generator) -> npt.NDArray[np.str_]:
    """As many replaced, each by the one it is mistaken for: a third of the T-shirts, pullovers and sneakers."""
    noisy = labels.copy()
    candidates = np.flatnonzero(np.isin(labels, list(MISTAKEN_FOR)))
    chosen = rng.choice(candidates, round(NOISE * len(labels)), replace=False)
    noisy[chosen] = [MISTAKEN_FOR[str(label)] for label in labels[chosen]]
    return noisy


def shares_found(embeddings: Floats, true: Labels, noise, seed: int) -> dict[str, float]:  # type: ignore[no-untyped-def]
    """The share of the replaced labels at the head of the queue, by ranking."""
    noisy = Labels(true.ids, true.positions, noise(true.labels, np.random.default_rng(seed)), true.splits, 0)
    wrong = noisy.labels != true.labels
    issues = find_label_issues(embeddings, noisy, "")
    at = np.searchsorted(true.ids, issues.ids)
    ours = {
        f"ours, {name}": found(wrong[at[issues.order(by)]])
        for name, by in (
            ("all together", "suspicion"),
            ("self-confidence", "self_confidence"),
            ("normalized margin", "normalized_margin"),
            ("neighbours' disagreement", "disagreement"),
        )
    }
    categories, given = np.unique(noisy.labels, return_inverse=True)
    with threadpool_limits(1):
        similarities, nearest = nearest_others(embeddings)
        fold = deal(given, copies(embeddings, similarities, nearest), FOLDS)
        probabilities = out_of_sample(embeddings, noisy.labels, categories, fold)
    # the same that our own rankings had
    assert np.allclose(1 - probabilities[at, given[at]], issues.self_confidence, atol=1e-4)
    theirs = {}
    for method in ("self_confidence", "normalized_margin"):
        for adjust in (False, True):
            quality = cleanlab_quality(given, probabilities, method=method, adjust_pred_probs=adjust)
            name = f"cleanlab, {method.replace('_', ' ')}{', adjusted' if adjust else ''}"
            theirs[name] = found(wrong[np.argsort(quality, kind="stable")])
    filtered = cleanlab_filter(given, probabilities, return_indices_ranked_by="normalized_margin", n_jobs=1)
    theirs["cleanlab, filter (as many as it finds)"] = found(wrong[filtered], int(wrong.sum()), len(wrong))
    suggested = issues.suggested == true.labels[at]
    return ours | theirs | {"our suggestion is right, of the replaced": float(suggested[wrong[at]].mean())}


def found(queue: Mask, n_wrong: int | None = None, n: int | None = None) -> float:
    """The share of the wrong ones that stand at the head of the queue, given as whether each in it is wrong."""
    head = queue[: int(LOOKED_AT * (n or len(queue)))]
    return float(head.sum() / (n_wrong or queue.sum()))


if __name__ == "__main__":
    main()
