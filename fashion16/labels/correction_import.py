"""Corrections that were exported elsewhere, made here: only where both sides mean the same picture and label.

    read_corrections -> of each picture what it was and is to be -> one batch, which one undo takes back

A picture is recognised by its content and its name, or by its content alone where only one has it; never by its id.
What somebody has decided otherwise here stays, and is said.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from fashion16.catalogue import wording
from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import ACTIVE, Change, Item
from fashion16.collections.stored import StoredCollection
from fashion16.errors import DataError, LabelError
from fashion16.labels.correction_files import StatedCorrection, read_corrections
from fashion16.labels.exports import source_of
from fashion16.text import shown, storable

SHOWN = 20  # findings of a kind that a page or a terminal can use
State = tuple[str | None, str]  # a label and a status


@dataclass(frozen=True, slots=True)
class Finding:
    """What the file says of one picture, and what comes of it.

    Attributes:
        line: of the file, the last one about the picture.
        source: the picture's name, as the file has it; empty where it has none.
        item_id: here; None where there is no such picture.
    """

    line: int
    source: str
    sentence: str
    item_id: int | None = None


@dataclass(frozen=True)
class CorrectionsReport:
    """What an import of corrections did, or would do.

    Attributes:
        applied: what was changed, or somebody's word that it is right.
        unchanged: what is here already as the file wants it.
        conflicts: what is here neither as the file found it nor as it wants it, and was left alone.
        unknown: pictures that are not here, or are ambiguous.
        batch: the number of the batch, for an undo; None where nothing was applied, and in a dry run.
    """

    applied: Sequence[Finding]
    unchanged: Sequence[Finding]
    conflicts: Sequence[Finding]
    unknown: Sequence[Finding]
    batch: int | None = None

    def lines(self) -> list[str]:
        """The report for people: how many of each kind, then the first of each that is worth a look."""
        kinds = (
            ("Changed", self.applied),
            ("Conflicts, left alone", self.conflicts),
            ("Unknown pictures", self.unknown),
        )
        told = [
            f"Changed: {len(self.applied):,}. There already: {len(self.unchanged):,}. "
            f"Conflicts: {len(self.conflicts):,}. Unknown: {len(self.unknown):,}."
        ]
        for kind, findings in kinds:
            told += [f"{kind}: {shown(each.source)}, line {each.line}. {each.sentence}" for each in findings[:SHOWN]]
            if len(findings) > SHOWN:
                told.append(f"{kind}: … and {len(findings) - SHOWN:,} more.")
        return told


def import_corrections(stored: StoredCollection, path: Path, who: str, *, dry_run: bool = False) -> CorrectionsReport:
    """Make the corrections in the file, as one batch by `who`, in the collection.

    Args:
        dry_run: change nothing, and say what would be done.

    Raises:
        DataError: the collection has no pictures, or the file holds no corrections.
        TextError: nobody can be called so.
        CatalogueError: the database cannot be used.
    """
    who = wording.who(who)
    if not stored.is_imported():
        raise DataError(f"“{stored.name}” has no pictures yet. Import some.")
    stated = read_corrections(path)
    with stored.catalogue() as catalogue:
        report, changes = _judged(catalogue, stated)
        if dry_run or not changes:
            return report
        batch = catalogue.decide_all(list(changes), who, f"Imported from {storable(path.name)}")
    late = {conflict.wanted.item_id for conflict in batch.conflicts}
    conflicts = [
        replace(finding, sentence="Somebody changed it at this moment. Import the file again.")
        for finding in report.applied
        if finding.item_id in late
    ]
    applied = [finding for finding in report.applied if finding.item_id not in late]
    return replace(report, applied=applied, conflicts=[*report.conflicts, *conflicts], batch=batch.id)


def _judged(catalogue: Catalogue, stated: Sequence[StatedCorrection]) -> tuple[CorrectionsReport, list[Change]]:
    """What comes of each picture in the file, and the changes that are to be made."""
    twins = catalogue.items_with_content(each.sha256 for each in stated)
    unknown: dict[tuple[str, str], Finding] = {}
    # of each item what is said of it, by the names that the file has for it
    said: dict[int, dict[str, list[StatedCorrection]]] = defaultdict(lambda: defaultdict(list))
    item_of: dict[int, Item] = {}
    for each in stated:
        source = each.source or ""
        item = _recognised(source, twins.get(each.sha256, []))
        if isinstance(item, str):
            unknown[each.sha256, source] = Finding(each.line, source, item)
        else:
            item_of[item.id] = item
            said[item.id][source].append(each)
    findings: dict[str, list[Finding]] = {"applied": [], "unchanged": [], "conflicts": []}
    changes = []
    for item_id, by_name in said.items():
        item = item_of[item_id]
        # another picture of the same content, which is not here, has no say where this one is named
        named = by_name.get(source_of(item))
        groups = [named] if named else list(by_name.values())
        kind, sentence, change = _verdict(item, groups)
        last = max((each for rows in groups for each in rows), key=lambda each: each.line)
        findings[kind].append(Finding(last.line, last.source or "", sentence, item_id))
        if change:
            changes.append(change)
    report = CorrectionsReport(
        findings["applied"], findings["unchanged"], findings["conflicts"], list(unknown.values())
    )
    return report, changes


def _recognised(source: str, twins: Sequence[Item]) -> Item | str:
    """The item among those of the same content that is called so, or why it is none."""
    named = [item for item in twins if source_of(item) == source]
    if len(named) == 1 or len(twins) == 1:
        return (named or twins)[0]
    if not twins:
        return "No picture of this content is in the collection."
    return (
        f"{len(twins):,} pictures of the collection have this content, and {len(named) or 'none'} of them "
        f"{'are' if named else 'is'} called {shown(source)}."
    )


def _verdict(item: Item, groups: Sequence[Sequence[StatedCorrection]]) -> tuple[str, str, Change | None]:
    """What comes of an item, in one sentence, and the change to make; each group is of one name in the file."""
    now: State = (item.label, item.status)
    in_order = [sorted(rows, key=lambda each: (each.number, each.line)) for rows in groups]
    ends = {(rows[-1].new_label, rows[-1].new_status or item.status) for rows in in_order}
    if len(ends) > 1:
        listed = ", ".join(sorted(map(_described, ends)))
        return "conflicts", f"The file has several pictures of this content, and wants for them: {listed}.", None
    last, wanted = in_order[0][-1], ends.pop()
    if wanted == now:
        if last.action == "keep" and not item.decided:
            return "applied", f"It is kept as {_described(now)}.", Change(item.id, item.version)
        return "unchanged", f"It is {_described(now)} already.", None
    known = {
        state
        for each in in_order[0]
        for state in (
            (each.old_label, each.old_status or item.status),
            (each.new_label, each.new_status or item.status),
        )
    }
    if now not in known:
        first = in_order[0][0]
        old = _described((first.old_label, first.old_status or item.status))
        does = f"keeps {old}" if old == _described(wanted) else f"changes {old} to {_described(wanted)}"
        return "conflicts", f"It is {_described(now)} here; the file {does}.", None
    label, status = (new if new != old else None for new, old in zip(wanted, now, strict=True))
    if wanted[0] is None and item.label is not None:
        return "conflicts", f"It is {_described(now)} here, and only an undo can take a label away.", None
    try:
        label = None if label is None else wording.label(label)
    except LabelError as error:
        return "conflicts", str(error), None
    change = Change(item.id, item.version, label, status)
    return "applied", f"{_described(now)} becomes {_described(wanted)}.", change


def _described(state: State) -> str:
    label, status = state
    described = "without a label" if label is None else shown(label)
    return described if status == ACTIVE else f"{described}, excluded"
