"""Which collections there are, and how one goes away or gets another name, with all that belongs to it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from fashion16 import jobs
from fashion16.catalogue.database import Schemas
from fashion16.collections.layout import DEFAULT_COLLECTION, NAME, TAKEN, Layout
from fashion16.collections.pack_files import CARD, PackCard
from fashion16.collections.stored import StoredCollection
from fashion16.errors import BusyError, DamagedDataError, WorkspaceError

# any of these in its folder, and a collection can be opened, or its import goes on
SIGNS = ("catalogue.sqlite", "pictures.npy", "thumbnails")


def names(layout: Layout) -> list[str]:
    """Every collection that can be opened or whose import can go on, in order of name."""
    found = {DEFAULT_COLLECTION}
    for folder, signs in ((layout.root / "data", SIGNS), (layout.root / "packs", (CARD,))):
        with suppress(OSError):  # there is none yet
            for name in os.listdir(folder):
                if NAME.fullmatch(name) and name not in TAKEN and any(os.path.exists(folder / name / s) for s in signs):
                    found.add(name)
    return sorted(found)


def remove(stored: StoredCollection) -> None:
    """Remove the collection: pictures, catalogue, pack, head, index, and what is known of its jobs.

    It leaves the list first. Cut short, the same call removes what is left.

    Raises:
        WorkspaceError: there is none, or it comes with Fashion-16, or a folder may not be written.
        BusyError: something is being done with it.
        CatalogueError: the database cannot be used, or other tables than ours are in the collection's schema.
    """
    _check_changeable(stored)
    name = stored.name
    data, pack, *others = _parts(stored)
    hidden = [(path, path.with_name(f".{name}.removed")) for path in (data, pack)]
    with _held(stored), _schemas(stored.layout) as schemas:
        has_schema = schemas is not None and schemas.has(name)
        if not has_schema and not any(map(os.path.lexists, (data, pack, *others, *(to for _, to in hidden)))):
            raise _unknown(stored)
        with _own_errors(data):
            for path, to in hidden:
                if os.path.lexists(path):
                    _delete(to)  # of a removal that was cut short
                    path.rename(to)
            if schemas is not None and has_schema:
                schemas.drop(name)
            for path in (*others, *(to for _, to in hidden)):
                _delete(path)


def rename(stored: StoredCollection, new: str) -> None:
    """Give the collection another name. Cut short, the same call goes on.

    Raises:
        WorkspaceError: there is none, it comes with Fashion-16, the new name is taken or not allowed, or a folder may
            not be written.
        BusyError: something is being done with it.
        CatalogueError: the database cannot be used, or other tables than ours are in the collection's schema.
    """
    _check_changeable(stored)
    old, renamed = stored.name, StoredCollection(stored.layout, new)
    pairs = list(zip(_parts(stored), _parts(renamed), strict=True))
    begun = stored.layout.root / "data" / f".{old}.{new}.renaming"
    with _held(stored), _schemas(stored.layout) as schemas:
        has_schema = schemas is not None and schemas.has(old)
        if not begun.exists():
            if not has_schema and not any(os.path.lexists(path) for path, _ in pairs):
                raise _unknown(stored)
            if (
                new == DEFAULT_COLLECTION
                or any(os.path.lexists(path) for _, path in pairs)
                or (schemas is not None and schemas.has(new))
            ):
                raise WorkspaceError(f"There is a collection called “{new}” already. Choose another name.", pairs[0][1])
        with _own_errors(pairs[0][0]):
            begun.parent.mkdir(exist_ok=True)
            begun.touch()
            if schemas is not None and has_schema:
                schemas.rename(old, new)
            for path, to in pairs:
                if os.path.lexists(path):
                    path.rename(to)
            with suppress(DamagedDataError):  # it is called by its folder all the same
                card = renamed.pack_folder / CARD
                replace(PackCard.read(card), name=new).write(card)
            begun.unlink()


def _check_changeable(stored: StoredCollection) -> None:
    if stored.name == DEFAULT_COLLECTION:
        raise WorkspaceError(f"“{stored.name}” comes with Fashion-16 and stays.", Path(stored.name))


def _unknown(stored: StoredCollection) -> WorkspaceError:
    return WorkspaceError(
        f"There is no collection called “{stored.name}”. There are: {', '.join(names(stored.layout))}.",
        stored.data_folder,
    )


def _parts(stored: StoredCollection) -> tuple[Path, ...]:
    """All that a collection has on disk, first its data and its pack."""
    return (
        stored.data_folder,
        stored.pack_folder,
        stored.index_file,
        stored.head_file.parent,
        stored.job_folder,
    )


def _delete(path: Path) -> None:
    """Delete a file, a folder, or of a link the link alone."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def _held(stored: StoredCollection) -> Iterator[None]:
    """No import of the collection runs, or begins, in the block."""
    job = jobs.state(stored.job_folder)
    if job and job.running:
        raise BusyError(
            f"“{stored.name}” is being worked on. Stop that, or wait until it has ended, and try again.",
            stored.data_folder,
        )
    lock = stored.import_lock
    if not lock.parent.is_dir():  # a pack that was never opened: nobody imports into it
        yield
        return
    is_new, place = not lock.exists(), lock.resolve()
    with stored.lock():
        try:
            yield
        finally:
            if is_new:  # the folder may be a link to one that stays
                place.unlink(missing_ok=True)


@contextmanager
def _own_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        path = Path(error.filename or path)
        raise WorkspaceError(
            f"{path} could not be changed ({error.strerror or error}). Give yourself the right to write there, then "
            "run the same command again: it goes on where it was.",
            path,
        ) from error


@contextmanager
def _schemas(layout: Layout) -> Iterator[Schemas | None]:
    if layout.database_url is None:
        yield None
        return
    with Schemas(layout.database_url) as schemas:
        yield schemas
