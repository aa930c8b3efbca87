"""Everything that Fashion-16 raises on purpose.

Each message is one sentence a user can read, with what to do next; the facts behind it are attributes.

    Fashion16Error
    ├── ImageError                  a picture that cannot be used
    │   ├── NotAPictureError        no picture format that we read
    │   ├── DamagedPictureError     a known format, but broken or cut off
    │   └── PictureTooLargeError    too many bytes or pixels        .found .limit .unit
    ├── DataError                   a data set that cannot be used
    │   ├── MissingDataError        nowhere to be found             .tried
    │   └── DamagedDataError        there, but not what it should be   .path
    ├── EncoderError                the encoder is missing, damaged, or not the one expected
    ├── HeadError                   the softmax head is missing, damaged, or does not fit
    ├── TrainingError               a run that cannot begin or go on
    ├── IndexFileError              an index file that cannot be used   .path
    │   ├── MissingIndexError
    │   ├── ForeignIndexError       not written by Fashion-16
    │   ├── DamagedIndexError       cut off or altered
    │   ├── NewerIndexError         written by a newer Fashion-16
    │   └── EncoderMismatchError    made with another encoder
    ├── SearchError                 a question that the index cannot answer (unknown category, bad k)
    ├── TuningError                 a setting that the index cannot have
    ├── CatalogueError
    │   ├── UnknownItemError        no item with this id            .item_id
    │   ├── StaleItemError          somebody was faster             .current_label .current_status .changed_by
    │   ├── UnknownCorrectionError  no correction with this id      .correction_id
    │   ├── LabelError              no label that can be, or is there
    │   ├── TextError               a name or a reason that no catalogue can keep
    │   └── NewerCatalogueError     made by a newer Fashion-16
    ├── SettingsError               an environment variable that says nothing we understand
    └── WorkspaceError              a folder that cannot be used    .path
        └── BusyError               another process is at work in it
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path


class Fashion16Error(Exception):
    """Base of all errors that Fashion-16 raises on purpose."""


class ImageError(Fashion16Error):
    """A picture that cannot be used."""


class NotAPictureError(ImageError):
    """The bytes are no picture format that Fashion-16 reads."""


class DamagedPictureError(ImageError):
    """The bytes begin like a picture, but are broken or cut off."""


class PictureTooLargeError(ImageError):
    """The picture has more bytes or pixels than are safe to open."""

    def __init__(self, found: float, limit: float, unit: str) -> None:
        super().__init__(
            f"This picture has {math.ceil(found):,} {unit}; the limit is {limit:,.0f}. Make it smaller and try again."
        )
        self.found, self.limit, self.unit = found, limit, unit


class DataError(Fashion16Error):
    """A data set that cannot be used."""


class MissingDataError(DataError):
    """A data set that was nowhere to be found."""

    def __init__(self, message: str, tried: Sequence[str] = ()) -> None:
        super().__init__(message + "".join(f"\n  - {line}" for line in tried))
        self.tried = tuple(tried)


class DamagedDataError(DataError):
    """A data file that is there, but is not what it should be."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class EncoderError(Fashion16Error):
    """The encoder is missing, damaged, or not the one expected."""


class HeadError(Fashion16Error):
    """The softmax head is missing, damaged, or does not fit the encoder."""


class TrainingError(Fashion16Error):
    """A training run that cannot begin or go on."""


class IndexFileError(Fashion16Error):
    """An index file that cannot be used."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class MissingIndexError(IndexFileError):
    """There is no index file yet."""


class ForeignIndexError(IndexFileError):
    """The file was not written by Fashion-16."""


class DamagedIndexError(IndexFileError):
    """The file was cut off or altered after it was written."""


class NewerIndexError(IndexFileError):
    """The file was written by a newer version of Fashion-16."""


class EncoderMismatchError(IndexFileError):
    """The index was made with another encoder than the one in use."""


class SearchError(Fashion16Error):
    """A question that the index cannot answer."""


class TuningError(Fashion16Error):
    """A setting that the index cannot have."""


class CatalogueError(Fashion16Error):
    """The catalogue cannot do what was asked."""


class UnknownItemError(CatalogueError):
    """No item has this id."""

    def __init__(self, item_id: int) -> None:
        super().__init__(f"There is no item with the id {item_id} in this collection.")
        self.item_id = item_id


class StaleItemError(CatalogueError):
    """The item was changed by somebody else since it was read."""

    def __init__(
        self,
        item_id: int,
        current_label: str | None,
        current_status: str = "active",
        current_version: int | None = None,
        changed_by: str | None = None,
        changed_at: str | None = None,
    ) -> None:
        label = "it has no label now" if current_label is None else f"its label is now “{current_label}”"
        excluded = "" if current_status == "active" else f" and it is {current_status}"
        super().__init__(
            f"Item {item_id} was changed by {changed_by or 'somebody else'} in the meantime: {label}{excluded}. "
            "Look at it again, then decide."
        )
        self.item_id, self.current_label, self.current_status = item_id, current_label, current_status
        self.current_version, self.changed_by, self.changed_at = current_version, changed_by, changed_at


class UnknownCorrectionError(CatalogueError):
    """No correction has this id."""

    def __init__(self, correction_id: int) -> None:
        super().__init__(f"There is no correction with the id {correction_id} in this collection's history.")
        self.correction_id = correction_id


class LabelError(CatalogueError):
    """A label that cannot be, or that is not there."""


class TextError(CatalogueError):
    """A name or a reason that no catalogue can keep."""


class NewerCatalogueError(CatalogueError):
    """The catalogue was made by a newer version of Fashion-16."""


class SettingsError(Fashion16Error):
    """An environment variable, or a secret of the app, has a value that it cannot have."""


class WorkspaceError(Fashion16Error):
    """A folder that cannot be used."""

    def __init__(self, message: str, path: Path) -> None:
        super().__init__(message)
        self.path = path


class BusyError(WorkspaceError):
    """Another process is at work on the same collection."""
