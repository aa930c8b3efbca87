"""Hostile heaps: nothing outside the collection is touched, each refusal is one line, and the rest is imported."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion16.catalogue.imports import ImportLog, ImportReport
from fashion16.collections.workspace import Workspace
from fashion16.errors import DamagedDataError
from tests.pictures import SHOP, assert_exactly, import_from, items_of, photo, tree
from tests.sources.test_local import ODD_NAMES, bomb, packed, patch, rename
from tests.test_images import png_of, saved

NO_PICTURE = "This file is not a picture we can read. Choose a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file."
DAMAGED = "This picture is damaged or cut off. Save or download it again."
LEADS_OUT = "This link leads out of the folder, and is not followed."
ABSOLUTE = "This name is an absolute path: it leads out of the archive."
# as long as a name can be
LONGEST = "😀" * 62 + "abc.jpg"
assert len(LONGEST.encode()) == 255


def snapshot(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything below `root` but the collection's folder: kind, time of change, and content."""
    found: dict[str, tuple[object, ...]] = {}
    for folder, folders, files in os.walk(root):
        if Path(folder) == root / "home" / "data":
            folders[:] = [name for name in folders if name != SHOP]
        for name in [*folders, *files]:
            path = Path(folder) / name
            facts = path.lstat()
            kind = stat.S_IFMT(facts.st_mode)
            content = hashlib.sha256(path.read_bytes()).hexdigest() if kind == stat.S_IFREG else ""
            found[str(path)] = (kind, facts.st_mode, content, facts.st_mtime_ns if kind == stat.S_IFREG else 0)
    return found


@pytest.fixture
def shop(tmp_path: Path) -> Workspace:
    """A workspace with another collection and a head beside."""
    home = tree(tmp_path / "home", {"data/other/catalogue.sqlite": "theirs", "models/other/head.h5": "theirs"})
    return Workspace(home)


def import_unharmed(shop: Workspace, path: Path) -> ImportReport:
    """Import, and see that nothing but the collection's folder has changed and the log has every line."""
    before = snapshot(shop.root.parent)
    report = import_from(shop, path)
    assert snapshot(shop.root.parent) == before
    assert all("\n" not in reason and reason.endswith(".") for _, reason in report.skipped)
    assert report.n_skipped == len(report.skipped)
    with shop.collection(SHOP).catalogue() as catalogue:
        (kept,) = ImportLog(catalogue).reports()
    assert kept == report
    return report


def pictures_of_all_kinds() -> dict[str, bytes]:
    """Pictures that are odd, and can be used."""
    exif = Image.Exif()
    exif[0x0112] = 6
    grey = np.linspace(0, 65535, 40 * 20).reshape(40, 20).astype(np.uint16)
    frames = [Image.new("P", (20, 20), colour) for colour in range(3)]
    return {
        "wrong ending.png": photo(0, form="JPEG"),
        "wrong ending.heic": photo(1, form="WEBP"),
        "no ending": photo(2, form="TIFF"),
        "animated.gif": saved(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "cmyk.jpg": saved(Image.new("CMYK", (20, 30), (0, 200, 200, 0)), "JPEG"),
        "sixteen bits.png": saved(Image.fromarray(grey), "PNG"),
        "on its side.jpg": photo(3, 60, 40, "JPEG", exif=exif),
        "see-through.png": saved(Image.new("RGBA", (9, 9), (255, 0, 0, 10)), "PNG"),
        "one pixel.bmp": photo(4, 1, 1, "BMP"),
        "a strip.png": photo(5, 3000, 2),
    }


def broken_pictures() -> dict[str, tuple[bytes, str]]:
    """Files that are no pictures, and why."""
    jpeg, png = photo(6, 200, 200, "JPEG"), photo(7, 200, 200)
    return {
        "cut off.jpg": (jpeg[: len(jpeg) // 2], DAMAGED),
        "cut off.png": (png[:-30], DAMAGED),
        "nothing.jpg": (b"", "This file is empty. Choose another picture."),
        "zeros.png": (bytes(5000), NO_PICTURE),
        "letter.jpg": (b"Dear reader, this is a letter.", NO_PICTURE),
        "page.jpeg": (b"<html><script>alert(1)</script></html>", NO_PICTURE),
        "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", NO_PICTURE),
        "huge.png": (
            png_of(30_000, 30_000),
            "This picture has 900,000,000 pixels; the limit is 64,000,000. Make it smaller and try again.",
        ),
    }


def test_a_hostile_folder_is_imported_as_far_as_it_can_be(shop: Workspace, tmp_path: Path) -> None:
    good = {f"Odd/{name}": data for name, data in pictures_of_all_kinds().items()}
    good |= {f"{name}/{name}": photo(20 + n) for n, name in enumerate([*ODD_NAMES, LONGEST])}
    bad = {f"Bad/{name}": fact for name, fact in broken_pictures().items()}
    outside = tree(tmp_path / "outside", {"secret.png": photo(90), "deep/secret.png": photo(91)})
    heap = tree(tmp_path / "heap", good | {name: data for name, (data, _) in bad.items()})
    reasons = {name: reason for name, (_, reason) in bad.items()}

    (heap / "Bad" / "out.png").symlink_to(outside / "secret.png")
    (heap / "Bad" / "up.png").symlink_to("../../outside/secret.png")
    (heap / "Bad" / "folder").symlink_to(outside)
    (heap / "Bad" / "database.png").symlink_to(shop.root / "data" / "other" / "catalogue.sqlite")
    reasons |= dict.fromkeys([f"Bad/{name}" for name in ("out.png", "up.png", "folder", "database.png")], LEADS_OUT)
    (heap / "Bad" / "round.png").symlink_to("round.png")
    (heap / "Bad" / "here").symlink_to("../Odd")
    no_file = "This link leads to no file; links to folders are not followed."
    reasons |= dict.fromkeys(["Bad/round.png", "Bad/here"], no_file)
    os.mkfifo(heap / "Bad" / "pipe.png")
    reasons["Bad/pipe.png"] = "This is no regular file."
    tree(heap, {"x" * 201 + "/a.png": photo(92), "Bad/inner.zip": "PK"})
    reasons["x" * 201 + "/a.png"] = "Its label has 201 characters; the limit is 200."
    reasons["Bad/inner.zip"] = (
        "Archives inside an archive or a folder are not opened. Unpack it, and import what it holds."
    )
    # what no database could carry is escaped
    (heap / "Odd" / os.fsdecode(b"\xff.png")).write_bytes(photo(93))
    (heap / "Bad" / os.fsdecode(b"\xfe.png")).write_bytes(b"x")
    good["Odd/\\udcff.png"], reasons["Bad/\\udcfe.png"] = photo(93), NO_PICTURE
    tree(heap, {"Thumbs.db": "x", ".git/a.png": photo(94), "notes.md": "x"})

    report = import_unharmed(shop, heap)
    assert dict(report.skipped) == reasons
    assert (report.added, report.unchanged, report.n_skipped, report.passed_over) == (len(good), 0, len(reasons), 3)
    assert_exactly(shop, good)
    by_name = {item.source: item for item in items_of(shop)}
    assert (by_name["Odd/on its side.jpg"].width, by_name["Odd/on its side.jpg"].height) == (40, 60)
    assert by_name[f"{LONGEST}/{LONGEST}"].label == LONGEST
    assert all(by_name[f"{name}/{name}"].label == name.strip() for name in ODD_NAMES)


def test_a_hostile_archive_is_imported_as_far_as_it_can_be(shop: Workspace, tmp_path: Path) -> None:
    good = {f"Odd/{name}": data for name, data in pictures_of_all_kinds().items()}
    good |= {f"{name}/{name}": photo(20 + n) for n, name in enumerate([*ODD_NAMES, LONGEST])}
    bad = {f"Bad/{name}": fact for name, fact in broken_pictures().items()}
    reasons = {name: reason for name, (_, reason) in bad.items()}
    leading_out = {
        "../../evil.png": "This name leads out of the archive.",
        "Hat/../../evil.png": "This name leads out of the archive.",
        str(tmp_path / "evil.png"): ABSOLUTE,
        "C:/evil.png": ABSOLUTE,
        "..\\evil.png": "This name holds a backslash, which some systems take for a folder. Repack the archive.",
        "evil#.png": "This name is empty or holds a zero byte, as no file's does.",
    }
    path = packed(
        tmp_path / "heap.zip",
        good | {name: data for name, (data, _) in bad.items()} | dict.fromkeys(leading_out, photo(95)),
    )
    with zipfile.ZipFile(path, "a") as archive:
        link = zipfile.ZipInfo("Bad/link.png")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        for name in ("Bad/encrypted.png", "Bad/rar.png", "Bad/wrong sum.png"):
            archive.writestr(name, photo(96))
        archive.writestr("Bad/zeros.bmp", bytes(2**21), zipfile.ZIP_DEFLATED)
    patch(path, "Bad/encrypted.png", flags=1)
    patch(path, "Bad/rar.png", method=99)
    patch(path, "Bad/wrong sum.png", crc=7)
    rename(path, b"evil#.png", b"evil\0.png")
    reasons |= {name.replace("#", "\\x00"): reason for name, reason in leading_out.items()}
    reasons |= {
        "Bad/link.png": "This is a link or a device, and no file.",
        "Bad/encrypted.png": "This file is encrypted. Pack the archive without a password.",
        "Bad/rar.png": "This file is packed by a method other than Deflate. Repack the archive as a plain ZIP.",
        "Bad/wrong sum.png": "This file is damaged inside the archive. Pack it again.",
        "Bad/zeros.bmp": "This file would unpack to more than 100 times its size, as no photo does.",
    }
    report = import_unharmed(shop, path)
    assert dict(report.skipped) == reasons
    assert (report.added, report.n_skipped, report.passed_over) == (len(good), len(reasons), 0)
    assert_exactly(shop, good)


@pytest.mark.parametrize("claimed", [2**30, 1000])
def test_a_bomb_in_an_archive_is_one_line(shop: Workspace, tmp_path: Path, claimed: int) -> None:
    path = bomb(tmp_path / "bomb.zip", claimed)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("b.png", photo(1))
    report = import_unharmed(shop, path)
    sentence = (
        "This file is larger than 40 MB, as no picture needs to be. Make it smaller and try again."
        if claimed == 2**30
        else "This file is damaged inside the archive. Pack it again."
    )
    assert dict(report.skipped) == {"a.jpg": sentence}
    assert_exactly(shop, {"b.png": photo(1)})


def test_an_archive_of_a_million_members_is_refused_as_a_whole(shop: Workspace, tmp_path: Path) -> None:
    name, n = b"1.jpg", 1_000_000
    member = b"PK\x01\x02" + struct.pack("<6H3L5H2L", 20, 20, 0, 0, 0, 33, 0, 0, 0, len(name), 0, 0, 0, 0, 0, 0) + name
    end = b"PK\x05\x06" + struct.pack("<4H2LH", 0, 0, 0xFFFF, 0xFFFF, n * len(member), 0, 0)
    path = tmp_path / "heap.zip"
    path.write_bytes(member * n + end)
    before = snapshot(tmp_path)
    with pytest.raises(DamagedDataError, match="holds more than 500,000 files. Import it in parts."):
        import_from(shop, path)
    assert snapshot(tmp_path) == before
    assert not shop.collection(SHOP).data_folder.exists()


def test_a_folder_whose_own_name_no_database_can_carry_is_imported(shop: Workspace, tmp_path: Path) -> None:
    heap = tree(tmp_path / os.fsdecode(b"R\xf6cke"), {"a.png": photo(1)})
    assert import_from(shop, heap).location == str(tmp_path / "R\\udcf6cke")
    assert_exactly(shop, {"a.png": photo(1)})
    table = tree(tmp_path / "urls", {"x": ""}) / os.fsdecode(b"\xf6.csv")
    table.write_bytes(b"url,label\n,Hat\n")
    report = import_from(shop, None, urls=table)  # type: ignore[arg-type]
    assert dict(report.skipped) == {"\\udcf6.csv:2": "This row of the table names no URL."}


def test_a_table_may_not_label_with_what_no_database_can_carry(shop: Workspace, tmp_path: Path) -> None:
    heap = tree(
        tmp_path / "heap", {"a.png": photo(1), "b.png": photo(2), "t.csv": "file,label\na.png,H\0t\nb.png,Hat\n"}
    )
    report = import_unharmed(shop, heap)
    assert dict(report.skipped) == {"a.png": "Its label holds a zero byte, as no text does."}
    assert_exactly(shop, {"b.png": photo(2)})
