"""Which labels are suspicious: what a head that has not seen an item, and its neighbours, make of its label.

The head is fitted in folds, so that each item has probabilities out of sample; no picture is encoded again. They are
weighed with the labels of the nearest neighbours, and with how often one category is given the label of another:
Northcutt, Jiang, Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 2021.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from fashion16.collections.embeddings import labelled_embeddings
from fashion16.collections.stored import StoredCollection
from fashion16.errors import DataError
from fashion16.files import sealed
from fashion16.search.head import LEARNABLE, Head
from fashion16.search.neighbours import LISTED, nearest_others
from fashion16.search.searcher import NEAR_DUPLICATE
from fashion16.types import Floats, Ids, Labels, Progress, Rows

FORMAT = "fashion16-label-issues"
FORMAT_VERSION = 1
FOLDS = 5
SEED = 16
SHOWN = 5  # neighbours kept for each item
VOTERS = 10  # neighbours that vote; the head's probabilities weigh as much as VOTERS neighbours
# the share of each category's labels that may be any, beside the confusions found; chosen, like VOTERS and ROUNDS, on
# other seeds than benchmarks/label_issues.py reports
ANY_LABEL = 0.2
ROUNDS = 5

Names = npt.NDArray[np.str_]


@dataclass(frozen=True)
class LabelIssues:
    """All labelled items, the most suspicious first: those with a twin before all others, then by score.

    Every measure lies in [0, 1] and is higher for a label that is more suspicious. An item whose label has too few
    pictures to be learnt is judged by its neighbours alone: its score is half their disagreement, and the measures of
    the head, which knows nothing of it, are 0.5. So are all items where fewer than two labels can be learnt.

    Attributes:
        ids: (n,) int64.
        given: (n,) str, the label when it was judged.
        suggested: (n,) str, the likeliest label where the given one is not known; often the same.
        p_suggested: (n,) float32, the chance that it is right where the given one is known, so it may be the lower one.
        self_confidence: (n,) float32, 1 less the probability of the given label, by a head that has not seen the item.
        normalized_margin: (n,) float32, 0.5 where the given label is as probable as the most probable other, 1 where
            the other is certain.
        disagreement: (n,) float32, the share of the ten nearest neighbours that carry another label; copies do not
            count.
        score: (n,) float32, the chance that the given label is wrong.
        twin: (n,) int64, the nearest near-duplicate with another label that is no more suspicious than this one; else
            -1. Of two pictures that contradict each other the one that is likelier wrong comes first, or both.
        neighbours: (n, 5) int64, the nearest other items with any label; -1 where there are fewer.
        revision: the catalogue's, whose labels were judged.
        encoder_digest: the encoder whose embeddings they were judged by.
    """

    ids: Ids
    given: Names
    suggested: Names
    p_suggested: Floats
    self_confidence: Floats
    normalized_margin: Floats
    disagreement: Floats
    score: Floats
    twin: Ids
    neighbours: Ids
    revision: int
    encoder_digest: str

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def p_given(self) -> Floats:
        """The chance that the given label is right, (n,) float32."""
        return 1 - self.score

    def order(self, by: str) -> Rows:
        """The rows, the most suspicious first, by "suspicion" or one of the three measures; ties as in the queue."""
        if by == "suspicion":
            return np.arange(len(self))
        if by not in MEASURES:
            raise ValueError(f"by must be suspicion or one of {', '.join(MEASURES)}, received {by!r}")
        return np.argsort(-getattr(self, by), kind="stable")

    def labels_of(self, ids: Ids) -> Names:
        """The labels of these items (k,) when they were judged, empty where one was not."""
        same = self.ids == ids[:, None]
        return np.where(same.any(axis=1), self.given[same.argmax(axis=1)], "")

    def write(self, path: Path) -> None:
        """Write the ranking beside `path`, then move it over.

        Raises:
            WorkspaceError: the folder may not be written, or the disk is full.
        """
        names, which = np.unique(np.concatenate([self.given, self.suggested]), return_inverse=True)
        with sealed.writing(path, FORMAT, FORMAT_VERSION) as file:
            file.attrs["names"] = json.dumps(names.tolist())
            file.attrs["revision"] = self.revision
            file.attrs["encoder_digest"] = self.encoder_digest
            file["given"], file["suggested"] = which.astype(np.int32).reshape(2, -1)
            for column in COLUMNS:
                file[column] = getattr(self, column)

    @classmethod
    def read(cls, path: Path, encoder_digest: str) -> LabelIssues | None:
        """The ranking in an HDF5 file; None where there is none that is whole, of this version and this encoder."""
        found = sealed.read_or_none(path, FORMAT, FORMAT_VERSION, cls._of)
        return found if found is not None and found.encoder_digest == encoder_digest else None

    @classmethod
    def _of(cls, file: h5py.File) -> LabelIssues:
        names = np.array(json.loads(file.attrs["names"]), dtype=np.str_)
        return cls(
            given=names[file["given"][:]],
            suggested=names[file["suggested"][:]],
            revision=int(file.attrs["revision"]),
            encoder_digest=str(file.attrs["encoder_digest"]),
            **{column: file[column][:] for column in COLUMNS},
        )


MEASURES = ("self_confidence", "normalized_margin", "disagreement")
COLUMNS = (*MEASURES, "ids", "p_suggested", "score", "twin", "neighbours")


def find_label_issues(
    embeddings: Floats, labels: Labels, encoder_digest: str, *, folds: int = FOLDS, progress: Progress | None = None
) -> LabelIssues:
    """Judge the labels of items with embeddings (n, d), unit length; items without a label are left out.

    Raises:
        DataError: no item has a label.
    """
    if len(embeddings) != len(labels) or folds < 2:
        raise ValueError(f"received {len(embeddings)} embeddings, {len(labels)} labels and {folds} folds")
    embeddings, labels = embeddings[labels.labels != ""], labels.labelled
    if not (n := len(labels)):
        raise DataError("There are no labels to judge. Give some pictures a label first.")
    report = progress or (lambda done, total: None)
    names, given = np.unique(labels.labels, return_inverse=True)
    # the products are small: where others used the cores, two threads took ten times as long as one
    with threadpool_limits(1):
        similarities, nearest = nearest_others(embeddings, lambda done: report(done, 2 * n))
        groups = copies(embeddings, similarities, nearest)
        voters = _voters(nearest, groups, given)
        disagreement, suggested, p_suggested = _by_neighbours(voters, given)
        score = disagreement * np.float32(0.5)
        confidence, margin = np.full((2, n), 0.5, np.float32)
        learnt = learnable(given, groups, folds)
        if len(judged := np.flatnonzero(np.isin(given, learnt))):
            fold, columns = deal(given, groups, folds), names[learnt]
            unseen = out_of_sample(embeddings, labels.labels, columns, fold, lambda done: report(n + done, 2 * n))
            probabilities = unseen[judged]
            its, rows = np.searchsorted(learnt, given[judged]), np.arange(len(judged))
            confidence[judged], margin[judged] = _measures(probabilities, its)
            truth, posterior = chances(_with_votes(probabilities, voters[judged], learnt), its)
            best = truth.argmax(axis=1)
            suggested[judged], p_suggested[judged] = learnt[best], posterior[rows, best]
            score[judged] = 1 - posterior[rows, its]
    twin = _twins(similarities, nearest, given, score)
    report(2 * n, 2 * n)
    queue = np.lexsort((labels.ids, -score, twin < 0))
    return LabelIssues(
        ids=labels.ids[queue],
        given=names[given[queue]],
        suggested=names[suggested[queue]],
        p_suggested=p_suggested[queue],
        self_confidence=confidence[queue],
        normalized_margin=margin[queue],
        disagreement=disagreement[queue],
        score=score[queue],
        twin=np.where(twin < 0, -1, labels.ids[twin])[queue],
        neighbours=np.where(nearest < 0, -1, labels.ids[nearest])[queue, :SHOWN],
        revision=labels.revision,
        encoder_digest=encoder_digest,
    )


def copies(embeddings: Floats, similarities: Floats, nearest: Rows) -> Rows:
    """The row of the item that each one is a copy of, its own where it is a copy of none, shape (n,).

    A copy is a near-duplicate of its original itself, not of another copy: chains of look-alikes would tie whole
    categories together.
    """
    first: dict[bytes, int] = {}  # equal embeddings in any number; near-duplicates as far as they are listed
    originals = np.array([first.setdefault(blake2b(row).digest(), at) for at, row in enumerate(embeddings)])
    rows, columns = np.nonzero(similarities >= NEAR_DUPLICATE)
    pairs = np.unique(np.sort(np.stack([rows, nearest[rows, columns]]), axis=0), axis=1)
    for lower, higher in pairs.T[np.lexsort(pairs)]:
        original = originals[originals[lower]]
        if originals[higher] == higher and embeddings[original] @ embeddings[higher] >= NEAR_DUPLICATE:
            originals[higher] = original
    return np.asarray(originals[originals])


def learnable(given: Rows, groups: Rows, folds: int) -> Rows:
    """The numbers of the labels with enough pictures that are no copies of each other; none where it is only one."""
    counts = np.bincount(np.unique(np.stack([given, groups]), axis=1)[0])
    enough = np.flatnonzero(counts >= max(LEARNABLE, folds))
    return enough if len(enough) > 1 else enough[:0]


def deal(given: Rows, groups: Rows, folds: int) -> Rows:
    """The fold of each item, (n,): each label in all, copies in one, for a wrong one must not vouch for another."""
    shuffled = np.random.default_rng(SEED).permutation(np.unique(groups))
    originals = shuffled[np.argsort(given[shuffled], kind="stable")]
    fold = np.zeros(len(groups), np.int64)
    fold[originals] = np.arange(len(originals)) % folds
    return np.asarray(fold[groups])


def out_of_sample(
    embeddings: Floats, labels: Names, categories: Names, fold: Rows, report: Callable[[int], None] = lambda done: None
) -> Floats:
    """Probabilities (n, c) of the sorted categories, for each item by a head fitted on the other folds alone."""
    result = np.zeros((len(labels), len(categories)), np.float32)
    learnt = np.isin(labels, categories)
    for number in range(int(fold.max()) + 1):
        its, others = np.flatnonzero(fold == number), learnt & (fold != number)
        head = Head.fit(embeddings[others], labels[others], "", 0)
        result[np.ix_(its, np.searchsorted(categories, head.categories))] = head.probabilities(embeddings[its])
        report(int((fold <= number).sum()))
    return result


def chances(beliefs: Floats, given: Rows) -> tuple[Floats, Floats]:
    """The chance of each category, without the given labels (n,) and with them, both (n, c), from beliefs (n, c).

    What one believes of an item was learnt from labels of which some are wrong, and is mixed up as they are. So the
    truth is sought that, mixed up in this way, would look like the beliefs: Richardson, "Bayesian-based iterative
    method of image restoration", JOSA 1972. Then Bayes' rule takes in the label that the item was given.
    """
    mixing, truth = confusions(beliefs, given), beliefs.copy()
    for _ in range(ROUNDS):
        truth *= (beliefs / (truth @ mixing)) @ mixing.T
    posterior = truth * mixing[:, given].T
    return truth, posterior / posterior.sum(axis=1, keepdims=True)


def confusions(beliefs: Floats, given: Rows) -> Floats:
    """How often items of each category are given each label, shape (c, c), rows sum to 1.

    From the confident joint of Northcutt et al.: an item counts as of a category where its belief in it is at least
    the mean of those that are given its label.
    """
    c = beliefs.shape[1]
    usual = np.array([beliefs[given == number, number].mean() for number in range(c)])
    confident = np.where(beliefs >= usual, beliefs, 0)
    sure = confident.any(axis=1)
    joint = np.eye(c)  # one each, so that no category is without items
    np.add.at(joint, (confident[sure].argmax(axis=1), given[sure]), 1)
    joint *= np.bincount(given, minlength=c) / joint.sum(axis=0)  # of each label as many as were given
    shares = joint / joint.sum(axis=1, keepdims=True)
    return np.asarray((1 - ANY_LABEL) * shares + ANY_LABEL / c, np.float32)


def _with_votes(probabilities: Floats, voters: Rows, categories: Rows) -> Floats:
    votes = np.stack([(voters == number).sum(axis=1, dtype=np.float32) for number in categories], axis=1)
    beliefs: Floats = votes + VOTERS * probabilities
    return np.asarray(beliefs / beliefs.sum(axis=1, keepdims=True))


def _measures(probabilities: Floats, given: Rows) -> tuple[Floats, Floats]:
    """The self-confidence and the normalized margin of Northcutt et al., turned so that 1 is the most suspicious."""
    rows = np.arange(len(given))
    its, others = probabilities[rows, given], probabilities.copy()
    others[rows, given] = -1
    return 1 - its, (1 - its + others.max(axis=1)) / 2


def _voters(nearest: Rows, groups: Rows, given: Rows) -> Rows:
    """The labels of the ten nearest, (n, 16), -1 for those that do not vote; of copies one votes, of one's own none."""
    theirs = np.where(nearest < 0, groups[:, None], groups[nearest])
    repeated = np.stack([(theirs[:, :at] == theirs[:, at, None]).any(axis=1) for at in range(LISTED)], axis=1)
    votes = (theirs != groups[:, None]) & ~repeated
    votes &= np.cumsum(votes, axis=1) <= VOTERS
    return np.where(votes, given[nearest], -1)


def _by_neighbours(voters: Rows, given: Rows) -> tuple[Floats, Rows, Floats]:
    """Disagreement, the label with the most votes, and its chance: half goes by votes, half to the given label."""
    votes = np.stack([((voters == column[:, None]) & (voters >= 0)).sum(axis=1) for column in voters.T], axis=1)
    n_votes = np.maximum((voters >= 0).sum(axis=1), 1)
    disagreement = ((voters >= 0) & (voters != given[:, None])).sum(axis=1) / n_votes
    best = (np.arange(len(given)), votes.argmax(axis=1))
    suggested = np.where(votes.any(axis=1), voters[best], given)
    chance = np.where(votes.any(axis=1), (votes[best] / n_votes + (suggested == given)) / 2, 1)
    return disagreement.astype(np.float32), suggested, chance.astype(np.float32)


def _twins(similarities: Floats, nearest: Rows, given: Rows, score: Floats) -> Rows:
    """The nearest near-duplicate with another label that is no more suspicious than the item, else -1; shape (n,)."""
    twins = (similarities >= NEAR_DUPLICATE) & (given[nearest] != given[:, None]) & (score[nearest] <= score[:, None])
    return np.where(twins.any(axis=1), nearest[np.arange(len(given)), twins.argmax(axis=1)], -1)


def rank(stored: StoredCollection, progress: Progress | None = None) -> LabelIssues:
    """Rank all labelled items of the collection by today's labels, and keep the ranking.

    Raises:
        IndexFileError: there are neither embeddings nor an index.
        DataError: there is nothing to rank.
        WorkspaceError: the folder may not be written.
    """
    digest = stored.card.digest
    today, embeddings, _ = labelled_embeddings(stored, digest)
    issues = find_label_issues(embeddings, today, digest, progress=progress)
    issues.write(stored.label_issues_file)
    return issues


def kept(stored: StoredCollection) -> LabelIssues | None:
    """The ranking that was kept; None where there is none, or one of another encoder."""
    digest = stored.card.digest
    return LabelIssues.read(stored.label_issues_file, digest)
