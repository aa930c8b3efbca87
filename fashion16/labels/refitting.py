"""The head refitted on today's labels, beside the present one, and a person's choice between the two.

    refit     models/<collection>/head.candidate.h5, and what it is worth in refit.json
    pending   the same comparison for whoever asks later: a page that was reloaded, another process
    swap      the candidate becomes the head
    discard   it goes

Both heads are measured on the same pictures, which neither was fitted on, by the labels of the same revision.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from fashion16.collections.embeddings import encoded
from fashion16.collections.stored import StoredCollection
from fashion16.errors import DataError, HeadError, WorkspaceError
from fashion16.estimate import Figure
from fashion16.files.atomic import replacing
from fashion16.files.digest import sha256_of
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import read_index, write_index
from fashion16.search.references import References
from fashion16.types import Floats, Labels, Progress

NOTHING_TO_COMPARE_BY = "No picture of the validation split has a label that a head knows, so nothing can be measured."


@dataclass(frozen=True)
class Measured:
    """A head, and how often it is right about the labelled pictures of the validation split.

    Attributes:
        categories: what it can predict.
        label_revision: whose labels it was fitted on.
        accuracy: a label that it does not know counts as wrong; None where nothing can be measured.
        recall: by label.
    """

    categories: tuple[str, ...]
    label_revision: int
    accuracy: Figure | None
    recall: dict[str, Figure]


@dataclass(frozen=True)
class Refit:
    """The present head and the candidate side by side.

    Attributes:
        made_at: ISO 8601, UTC.
        encoder_digest: the encoder that both belong to.
        before: the present head; None where there is none that can be used.
        after: the candidate. Both are measured by the labels that this one was fitted on.
        changed: validation pictures whose predicted category is another one now; None where nothing is compared.
        righted, wronged: those of them that are right now and were wrong before, and the other way round.
        note: why nothing can be measured; empty where something is.
        head_sha256, candidate_sha256: of the two files; the first is None where there is no head.
    """

    made_at: str
    encoder_digest: str
    before: Measured | None
    after: Measured
    changed: int | None
    righted: int | None
    wronged: int | None
    note: str
    head_sha256: str | None = None
    candidate_sha256: str = ""

    @property
    def revision(self) -> int:
        """The catalogue's, whose labels were read."""
        return self.after.label_revision

    @property
    def learnt(self) -> tuple[str, ...]:
        """What the candidate knows and the present head does not."""
        known = self.before.categories if self.before else ()
        return tuple(name for name in self.after.categories if name not in known)

    @property
    def forgotten(self) -> tuple[str, ...]:
        """What the present head knows and the candidate does not."""
        known = self.before.categories if self.before else ()
        return tuple(name for name in known if name not in self.after.categories)


def refit(stored: StoredCollection, progress: Progress | None = None) -> Refit:
    """Fit a candidate on the training split with today's labels, and compare it with the present head.

    Search goes on with the present head. Pictures that are not encoded yet are encoded first; `progress` is theirs.

    Raises:
        WorkspaceError: no collection can be called so, the folder may not be written, or the disk is full.
        DataError: the collection is not imported.
        BusyError: an import or another refit of it runs.
        HeadError: there is nothing to tell apart.
    """
    if not stored.is_imported():
        raise DataError(f"“{stored.name}” is not there. Import it with: fashion16 import {stored.name}")
    with stored.lock():
        digest = stored.card.digest
        # before it is read: should it be replaced in between, the comparison is out of date at once
        head_sha256 = sha256_of(stored.head_file)
        present = _present(stored.head_file, digest)
        today, embeddings, _ = encoded(stored, digest, progress)
        candidate = Head.of_collection(
            embeddings, today, digest, References.read(stored.layout.references_file, digest)
        )
        path = stored.candidate_head_file
        candidate.write(path)
        made = replace(
            _compare(present, candidate, embeddings, today),
            head_sha256=head_sha256,
            candidate_sha256=sha256_of(path) or "",
        )
        # last: without it, or with the one before, the candidate does not count
        with replacing(_report_file(stored)) as partial:
            partial.write_text(json.dumps(asdict(made), indent=1) + "\n", encoding="utf-8")
    return made


def pending(stored: StoredCollection) -> Refit | None:
    """The candidate that waits for a decision; None where there is none, or it is out of date or damaged.

    Out of date: the encoder is another one, or the head has been replaced since.
    """
    found = _read(_report_file(stored))
    return found if found and _still_fits(stored, found) else None


def swap(stored: StoredCollection) -> None:
    """Make the candidate the head. Killed at any moment, the old head stays or the new one is there.

    Pictures without a label lie in the index where the old head put them, so those for which the new one has another
    category are moved first. The index keeps the revision of its labels.

    Raises:
        HeadError: there is no candidate, or it is out of date or damaged; nothing is changed.
        IndexFileError: there is no index, or it is damaged or was made with another encoder.
        BusyError: an import or a refit of the collection runs.
        WorkspaceError: a folder may not be written, or the disk is full.
    """
    path, report = stored.candidate_head_file, _report_file(stored)
    if (found := _read(report)) is None:
        raise HeadError(f"There is no new head for “{stored.name}” to choose. Refit the head first.")
    with stored.lock():
        _check_fits(stored, found)
        candidate = Head.read(path)
        index_file = stored.index_file
        index, header = read_index(index_file, found.encoder_digest)
        if _move_unlabelled(stored, index, candidate):
            with replacing(index_file) as partial:
                write_index(partial, index, header)
                # that took a while, and `fashion16 index` asks nobody
                _check_fits(stored, found)
        try:
            os.replace(path, stored.head_file)
            report.unlink(missing_ok=True)
        except OSError as error:
            raise _not_written(path, error) from error


def discard(stored: StoredCollection) -> None:
    """Remove the candidate and what was said of it. Harmless where there is none.

    Raises:
        BusyError: an import or a refit of the collection runs.
        WorkspaceError: the folder may not be written.
    """
    files = _report_file(stored), stored.candidate_head_file
    if not any(os.path.lexists(file) for file in files):
        return
    with stored.lock():
        for file in files:
            try:
                file.unlink(missing_ok=True)
            except OSError as error:
                raise _not_written(file, error) from error


def _report_file(stored: StoredCollection) -> Path:
    return stored.candidate_head_file.with_name("refit.json")


def _present(path: Path, digest: str) -> Head | None:
    """The head in use; None where it could not be used: it is missing, damaged, or another encoder's."""
    try:
        head = Head.read(path)
    except HeadError:
        return None
    return head if head.encoder_digest == digest else None


def _compare(present: Head | None, candidate: Head, embeddings: Floats, today: Labels) -> Refit:
    """Both heads on the validation split of embeddings (n, d) with today's labels; the files' digests are left out."""
    check = (today.splits == "validation") & (today.labels != "")
    embeddings, labels = embeddings[check], today.labels[check]
    heads = [head for head in (present, candidate) if head is not None]
    if not np.isin(labels, [category for head in heads for category in head.categories]).any():
        embeddings, labels = embeddings[:0], labels[:0]
    predicted = [head.predict(embeddings) for head in heads]
    measured = [_measure(head, names == labels, labels) for head, names in zip(heads, predicted, strict=True)]
    changed = righted = wronged = None
    if present is not None and len(labels):
        before, after = predicted[0] == labels, predicted[1] == labels
        changed = int((predicted[0] != predicted[1]).sum())
        righted, wronged = int((after & ~before).sum()), int((before & ~after).sum())
    return Refit(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        encoder_digest=candidate.encoder_digest,
        before=None if present is None else measured[0],
        after=measured[-1],
        changed=changed,
        righted=righted,
        wronged=wronged,
        note="" if len(labels) else NOTHING_TO_COMPARE_BY,
    )


def _measure(head: Head, hits: npt.NDArray[np.bool_], labels: npt.NDArray[np.str_]) -> Measured:
    """A head that is right about some of the pictures with these labels (n,)."""
    return Measured(
        head.categories,
        head.label_revision,
        Figure.share(int(hits.sum()), len(labels)) if len(labels) else None,
        {
            str(label): Figure.share(int(hits[labels == label].sum()), int((labels == label).sum()))
            for label in np.unique(labels)
        },
    )


def _move_unlabelled(stored: StoredCollection, index: CategoryIndex, head: Head) -> bool:
    """Move the items without a label to the categories that the head predicts for them; whether any has moved.

    Labelled ones are left to who opens the index, which has a revision to go on from.
    """
    with stored.catalogue() as catalogue:
        today = catalogue.active()
    unlabelled = today.ids[today.labels == ""]
    moved = False
    for category, partition in index.partitions.items():
        ids = np.intersect1d(partition.ids, unlabelled)
        if not len(ids):
            continue
        predicted = head.predict(index.embeddings(ids))
        for other in np.unique(predicted[predicted != category]):
            index.move(ids[predicted == other], str(other))
            moved = True
    return moved


def _check_fits(stored: StoredCollection, found: Refit) -> None:
    if not _still_fits(stored, found):
        raise HeadError(
            f"The new head of “{stored.name}” is out of date: the encoder or the present head has changed since it was "
            "fitted, or its file is damaged. Refit the head."
        )


def _still_fits(stored: StoredCollection, found: Refit) -> bool:
    return (
        sha256_of(stored.candidate_head_file) == found.candidate_sha256
        and sha256_of(stored.head_file) == found.head_sha256
        and stored.card.digest == found.encoder_digest
    )


def _not_written(path: Path, error: OSError) -> WorkspaceError:
    return WorkspaceError(
        f"{path} could not be changed ({error.strerror or error}). Give yourself the right to write there.", path
    )


def _read(path: Path) -> Refit | None:
    """The comparison in a file; None where there is none, or it is damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Refit)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None
