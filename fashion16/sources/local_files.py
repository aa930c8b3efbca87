"""The files of a folder or a ZIP archive by their names, none of them opened yet, and nothing of it trusted.

    Folder(path) or Archive(path) -> pictures, tables: name -> read(limit); refusals: (name, reason)

An archive is never unpacked to disk: its members are bytes, and their names only text. Links that lead out of a
folder are not followed. What cannot be a picture or a table is refused with a reason, or passed over and counted.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from fashion16.errors import DamagedDataError
from fashion16.images import MAX_BYTES
from fashion16.sources.label_table import TABLE_SUFFIXES
from fashion16.text import as_text

# what zipfile and zlib raise on archives that were altered, encrypted or made by a newer program
ZIP_ERRORS = (
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    UnicodeDecodeError,
    zipfile.BadZipFile,
    zlib.error,
)
MAX_LABEL = 200
MAX_TABLE_BYTES = 128 * 2**20


MAX_ENTRIES = 500_000
# what a ZIP's pictures may have together: 30,000 photos of a phone
MAX_TOTAL_BYTES = 100 * 2**30
# pictures are packed already, and bitmaps on a white ground reach 30; a bomb of zeros reaches 1,000
MAX_RATIO = 100
# a small flat bitmap may well exceed the ratio, and does no harm
RATIO_FLOOR = 2**20
# zipfile unpacks the others (bzip2, LZMA) without a limit: four kilobytes of bzip2 become 80 MB at once
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
ENCRYPTED = 0x1 | 0x40 | 0x2000  # flag bits: encrypted, strongly, and with its directory
UTF8_NAME = 0x800

JUNK = frozenset({"__macosx", "thumbs.db", "desktop.ini"})
ARCHIVES = frozenset({".zip", ".tar", ".tgz", ".gz", ".bz2", ".xz", ".7z", ".rar"})
# A list of what is no picture, not of what is one: a HEIC photo shall be refused with a reason, not passed over.
NO_PICTURES = re.compile(
    r"\.(txt|md|rst|pdf|docx?|odt|rtf|xlsx?|ods|pptx?|jsonl?|xml|ya?ml|toml|ini|cfg|log|html?|css|js|py|pyc|ipynb|r|m|sh|"
    r"bak|bat|exe|dll|so|db|sqlite|npy|npz|mat|h5|hdf5|pkl|pt|onnx|tflite|mp3|wav|mp4|mov|avi|mkv|webm|url|lnk)"
)

TOO_LARGE = "This file is larger than {:,.0f} MB, as no picture needs to be. Make it smaller and try again."

# reads at most the given number of bytes; raises DataError
Read = Callable[[int], bytes]


class FoundFiles:
    """What a folder or an archive holds. Its names are paths with slashes.

    Attributes:
        path: what the user opened.
        pictures: what may be a picture; each is read by a call with a limit in bytes, which raises DataError.
        tables: what may be a table, read in the same way.
        refusals: name and reason of each file that cannot be used.
        passed_over: how many hidden files and folders, system files and files of no picture's ending there are.
    """

    def __init__(self, path: Path) -> None:
        """Nothing yet."""
        self.path = path
        self.pictures: dict[str, Read] = {}
        self.tables: dict[str, Read] = {}
        self.refusals: list[tuple[str, str]] = []
        self.passed_over = 0

    def root(self) -> str:
        """What all names begin with that says nothing: empty, or a folder with its slash."""
        return ""

    def close(self) -> None:
        """Nothing is open."""

    def refuse(self, name: str, reason: str) -> None:
        """Note that a file cannot be used."""
        self.refusals.append((name, reason))

    def add(self, name: str, read: Read, fault: str) -> None:
        """Sort a file in; `fault` says why it cannot be read, and is empty where it can."""
        suffix = os.path.splitext(name)[1].lower()
        if any(_is_junk(part) for part in name.split("/")):
            self.passed_over += 1
        elif name in self.pictures or name in self.tables:
            self.refuse(name, "There is another file of the same name; the first one counts.")
        elif suffix in TABLE_SUFFIXES:
            # an unusable table must not be overlooked: the folders' names would be taken for labels
            self.tables[name] = partial(_fail, fault, self.path) if fault else read
        elif NO_PICTURES.fullmatch(suffix):
            self.passed_over += 1
        elif fault:
            self.refuse(name, fault)
        elif suffix in ARCHIVES:
            self.refuse(
                name, "Archives inside an archive or a folder are not opened. Unpack it, and import what it holds."
            )
        else:
            self.pictures[name] = read

    def check_count(self, n_entries: int) -> None:
        """Raises DamagedDataError where there are too many."""
        if n_entries > MAX_ENTRIES:
            raise DamagedDataError(f"{self.path} holds more than {MAX_ENTRIES:,} files. Import it in parts.", self.path)


class Folder(FoundFiles):
    """A folder and all folders below it."""

    def __init__(self, path: Path) -> None:
        """Look through the folder; no file is opened.

        Raises:
            DamagedDataError: it cannot be opened, or holds too many files.
        """
        super().__init__(path)
        self._real = Path(os.path.realpath(path))
        n_entries, waiting = 0, [""]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(self._real / folder) as entries:
                    for entry in entries:
                        n_entries += 1
                        self.check_count(n_entries)
                        name = f"{folder}/{entry.name}" if folder else entry.name
                        if entry.is_dir(follow_symlinks=False) and not _is_junk(entry.name):
                            waiting.append(name)
                        else:
                            self._add_entry(as_text(name), entry)
            except OSError as error:
                if not folder:
                    raise DamagedDataError(f"The folder {path} cannot be opened ({error.strerror}).", path) from error
                self.refuse(as_text(folder), f"This folder cannot be opened ({error.strerror}).")

    def _add_entry(self, name: str, entry: os.DirEntry[str]) -> None:
        if not entry.is_symlink():
            # to open a pipe would wait for ever; a hidden folder comes here too, to be passed over
            self.add(name, partial(_read_file, entry.path), "" if entry.is_file() else "This is no regular file.")
            return
        target = os.path.realpath(entry.path)
        if not Path(target).is_relative_to(self._real):
            fault = "This link leads out of the folder, and is not followed."
        else:
            fault = "" if os.path.isfile(target) else "This link leads to no file; links to folders are not followed."
        self.add(name, partial(_read_file, target), fault)


class Archive(FoundFiles):
    """A ZIP archive, open until it is closed."""

    def __init__(self, path: Path) -> None:
        """Read the archive's directory.

        Raises:
            DamagedDataError: it is no ZIP archive, holds too many files, or would unpack to too much.
        """
        super().__init__(path)
        try:
            self._zip = _LimitedZip(path, self.check_count)
        except ZIP_ERRORS as error:
            raise DamagedDataError(
                f"{path} is neither a folder nor a table (CSV, Parquet) nor a ZIP archive that can be read ({error}).",
                path,
            ) from error
        total = 0
        for member in self._zip.infolist():
            name = _member_name(member)
            if name.endswith("/"):
                continue
            if fault := name_fault(name):
                self.refuse(as_text(name), fault)
                continue
            is_table = os.path.splitext(name)[1].lower() in TABLE_SUFFIXES
            fault = _member_fault(member) or ("" if is_table else _size_fault(member))
            read = partial(self._read, member)
            self.add(name, read, fault)
            total += member.file_size if self.pictures.get(name) is read else 0
        # zipfile gives no more of a member than its header says, so this bounds what is ever read, even where
        # members overlap: one stretch of the archive can be the content of thousands
        limit = min(MAX_TOTAL_BYTES, max(MAX_BYTES, MAX_RATIO * path.stat().st_size))
        if total > limit:
            self.close()
            raise DamagedDataError(
                f"{path} would unpack to {total / 2**20:,.0f} MB; for an archive of its size the limit is "
                f"{limit / 2**20:,.0f} MB. Unpack it yourself if you trust it, and import the folder.",
                path,
            )

    def root(self) -> str:
        """The one folder that holds everything, if it has folders or a table in it; its slash at the end."""
        tops = {name.split("/")[0] if "/" in name else "" for name in (*self.pictures, *self.tables)}
        if len(tops) != 1 or "" in tops:
            return ""
        deep = any(name.count("/") > 1 for name in self.pictures) or any(name.count("/") == 1 for name in self.tables)
        return f"{tops.pop()}/" if deep else ""

    def close(self) -> None:
        """Close the archive."""
        self._zip.close()

    def _read(self, member: zipfile.ZipInfo, limit: int) -> bytes:
        if self._zip.fp is None:
            raise ValueError("the source is closed")
        try:
            with self._zip.open(member) as stream:
                # zipfile unpacks as much as it is asked for, and only then cuts off what the header did not claim
                return _within(stream.read(min(limit, member.file_size) + 1), limit, self.path)
        # an offset that no file can have overflows
        except (*ZIP_ERRORS, OverflowError) as error:
            raise DamagedDataError("This file is damaged inside the archive. Pack it again.", self.path) from error


class _LimitedZip(zipfile.ZipFile):
    """Counts its members while it reads their directory: afterwards they would already fill the memory."""

    def __init__(self, path: Path, check_count: Callable[[int], None]) -> None:
        self._check_count = check_count
        super().__init__(path)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, _Members(self._check_count) if name == "filelist" else value)


class _Members(list[zipfile.ZipInfo]):
    def __init__(self, check_count: Callable[[int], None]) -> None:
        super().__init__()
        self._check_count = check_count

    def append(self, member: zipfile.ZipInfo) -> None:
        self._check_count(len(self) + 1)
        super().append(member)


def _is_junk(part: str) -> bool:
    return (part.startswith(".") and part != ".") or part.lower() in JUNK


def _member_name(member: zipfile.ZipInfo) -> str:
    """The member's name as stored; macOS and older programs write UTF-8 without saying so."""
    if not member.flag_bits & UTF8_NAME:
        with contextlib.suppress(UnicodeError):
            return member.orig_filename.encode("cp437").decode()
    return member.orig_filename


def name_fault(name: str) -> str:
    """Why `name`, as an archive or a table has it, is no path below its root; empty where it is one."""
    if not name or "\0" in name:
        return "This name is empty or holds a zero byte, as no file's does."
    if "\\" in name:
        return "This name holds a backslash, which some systems take for a folder. Repack the archive."
    if name.startswith("/") or re.match("[A-Za-z]:", name):
        return "This name is an absolute path: it leads out of the archive."
    return "This name leads out of the archive." if ".." in name.split("/") else ""


def _member_fault(member: zipfile.ZipInfo) -> str:
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        return "This is a link or a device, and no file."
    if member.flag_bits & ENCRYPTED:
        return "This file is encrypted. Pack the archive without a password."
    if member.compress_type not in METHODS:
        return "This file is packed by a method other than Deflate. Repack the archive as a plain ZIP."
    return ""


def _size_fault(member: zipfile.ZipInfo) -> str:
    if member.file_size > MAX_BYTES:
        return TOO_LARGE.format(MAX_BYTES / 2**20)
    if member.file_size > max(RATIO_FLOOR, MAX_RATIO * member.compress_size):
        return f"This file would unpack to more than {MAX_RATIO} times its size, as no photo does."
    return ""


def _read_file(path: str, limit: int) -> bytes:
    try:
        with open(path, "rb") as file:
            # asked for more than there is, Python would set aside memory for all of it
            n_bytes = os.fstat(file.fileno()).st_size
            return _within(file.read(min(limit, n_bytes) + 1), limit, Path(path))
    except OSError as error:
        raise DamagedDataError(f"This file cannot be read ({error.strerror}).", Path(path)) from error


def _within(data: bytes, limit: int, path: Path) -> bytes:
    if len(data) > limit:
        raise DamagedDataError(TOO_LARGE.format(limit / 2**20), path)
    return data


def _fail(reason: str, path: Path, limit: int) -> bytes:
    raise DamagedDataError(reason, path)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A file, or a table's row, that cannot be used: its name, and one sentence that says why."""

    name: str
    reason: str
