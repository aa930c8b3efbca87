"""What a catalogue holds, row by row: items as they come and as they are, what was decided, labels at a revision."""

from __future__ import annotations

from dataclasses import dataclass

ACTIVE, EXCLUDED = "active", "excluded"


@dataclass(frozen=True)
class ImportedItem:
    """One picture on its way into the catalogue. It has either a `position` or a `file`.

    Attributes:
        position: its place in the pictures array.
        sha256: of the file as it came, or of its pixels where it came in an array.
        label: None where it has none.
        source: its name in the data set it came from, a path, a row or a URL; with `file` it is unique.
        file: where the picture is stored, as `PictureStore` names it.
        width, height: of the picture as it is stored, in pixels.
        fetched_at: when it was fetched from the web, ISO 8601, UTC.
    """

    position: int | None
    sha256: str
    label: str | None
    split: str
    source: str
    file: str | None = None
    width: int | None = None
    height: int | None = None
    fetched_at: str | None = None


@dataclass(frozen=True, slots=True)
class Came:
    """How an item that is a file came: with which label, and under which name and size it is stored.

    Attributes:
        now: the label that it has today.
    """

    label: str | None
    now: str | None
    file: str
    width: int
    height: int


@dataclass(frozen=True)
class Item:
    """One picture of the collection, with the label that the catalogue gives it now.

    Attributes:
        status: `ACTIVE`, or `EXCLUDED` from search and training.
        version: it rises with each row of its history.
        decided: whether a person has looked at it and decided: corrected, kept or excluded it.
    """

    id: int
    file: str | None
    position: int | None
    sha256: str
    original_label: str | None
    label: str | None
    status: str
    split: str
    version: int
    source: str
    width: int | None = None
    height: int | None = None
    fetched_at: str | None = None
    decided: bool = False


@dataclass(frozen=True)
class Correction:
    """One row of history: at `at` (ISO 8601, UTC), `who` decided about an item.

    Attributes:
        action: what it came to: `label`, `keep` (nothing but that somebody has looked), `exclude` or `include`;
            `rename` where the label was renamed or merged, and nobody looked at the item; `undo`.
        old_label, new_label, old_status, new_status, old_decided, new_decided: the item before and after.
        why: the person's own words; None where there are none.
        batch: what was done in one go: the id of its first correction; None where it is by itself.
        undoes: of an `undo`, the correction that it takes back; where that is an `undo` itself, it does it again.
    """

    id: int
    item_id: int
    old_label: str | None
    new_label: str | None
    who: str
    at: str
    action: str = "label"
    old_status: str = ACTIVE
    new_status: str = ACTIVE
    old_decided: bool = False
    new_decided: bool = True
    why: str | None = None
    batch: int | None = None
    undoes: int | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody who saw an item at `version` wants of it: a label, a status, or to keep it as it is."""

    item_id: int
    version: int
    label: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A change that was not made, because somebody else was faster.

    Attributes:
        wanted: the change.
        now: the item as it is; None where there is no such item.
        changed_by, changed_at: who changed it last and when, None where nobody did.
    """

    wanted: Change
    now: Item | None
    changed_by: str | None
    changed_at: str | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What was done in one go.

    Attributes:
        corrections: the rows of history, in the order of their ids.
        conflicts: what was left alone, because somebody else was faster.
        left_alone: items of the test split that a renaming has left alone.
    """

    corrections: tuple[Correction, ...] = ()
    conflicts: tuple[Conflict, ...] = ()
    left_alone: int = 0

    @property
    def id(self) -> int | None:
        """Its number, which each of its corrections carries; None where there are none."""
        return self.corrections[0].id if self.corrections else None


@dataclass(frozen=True, slots=True)
class Pace:
    """How the deciding gets on; what has been taken back does not count, nor do renamed labels.

    Attributes:
        today, today_by_who: decisions since midnight UTC, by everybody and by the person asked about.
        per_minute: over the last ten minutes, or since the first decision in them.
        share_changed: of the last fifty decisions, how many changed a label or a status; None where there are none.
    """

    today: int
    today_by_who: int
    per_minute: float
    share_changed: float | None
