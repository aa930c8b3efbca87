"""The public clothing dataset's archive: labels and splits of its photos, and a clear word on every broken one."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from fashion16.errors import DamagedDataError, MissingDataError
from fashion16.images import MAX_BYTES, encode_jpeg, read_photo
from fashion16.sources.clothing import SUBSET, ClothingArchive, ClothingPhoto

ROOT = "clothing-dataset-master"
# names, and the split that follows from the name alone: another would move photos from test to training
SPLIT_OF = {
    "a": "validation",
    "b": "train",
    "i": "validation",
    "q": "test",
    "4285fab0-751a-4b74-8e9b-43af05deee22": "validation",
    "ea7b6656-3f84-4eb3-9099-23e623fc1018": "train",
}


def jpeg(grey: int) -> bytes:
    return encode_jpeg(np.full((16, 16, 3), grey, np.uint8), 16)


def table(labels: Mapping[str, str]) -> str:
    """The archive's own table, with its columns."""
    return "image,sender_id,label,kids\n" + "".join(f"{name},7,{label},False\n" for name, label in labels.items())


def archive(path: Path, members: Mapping[str, bytes | str], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in members.items():
            file.writestr(f"{ROOT}/{name}", content)
    return path


def with_labels(folder: Path, labels: Mapping[str, str]) -> Path:
    """An archive that has a photo for each label."""
    photos = {f"images/{name}.jpg": jpeg(40) for name in labels}
    return archive(folder / "clothing.zip", {"README.md": "Clothing", "images.csv": table(labels), **photos})


def split_file(folder: Path, rows: Sequence[str], header: str = "image,label,split") -> Path:
    path = folder / "split.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def photos_of(path: Path, splits: Path | None = None) -> dict[str, ClothingPhoto]:
    with ClothingArchive(path, splits) as opened:
        return {photo.name: photo for photo in opened.photos}


def damage(path: Path, name: str) -> None:
    """Overwrite the first bytes of a member's content, packed or not."""
    with zipfile.ZipFile(path) as file:
        member = file.getinfo(f"{ROOT}/{name}")
    begin = member.header_offset + 30 + len(member.filename)
    data = bytearray(path.read_bytes())
    data[begin : begin + 8] = b"\xff" * 8
    path.write_bytes(data)


@pytest.mark.parametrize(("name", "split"), SPLIT_OF.items())
def test_without_a_table_a_photos_split_follows_from_its_name_for_ever(tmp_path: Path, name: str, split: str) -> None:
    photo = ClothingPhoto(name, "Dress", split, in_subset=False)
    assert photos_of(with_labels(tmp_path, {name: "Dress"})) == {name: photo}


def test_eight_photos_in_ten_are_for_training_and_one_each_for_validation_and_test(tmp_path: Path) -> None:
    names = [f"photo {number}" for number in range(2_000)]
    photos = photos_of(
        archive(
            tmp_path / "many.zip",
            {"images.csv": table(dict.fromkeys(names, "Hat")), **{f"images/{name}.jpg": b"" for name in names}},
        )
    )
    splits, counts = np.unique([photo.split for photo in photos.values()], return_counts=True)
    assert splits.tolist() == ["test", "train", "validation"]
    np.testing.assert_allclose(counts / 2_000, [0.1, 0.8, 0.1], atol=0.02)


def test_the_subsets_table_overrides_label_and_split(tmp_path: Path) -> None:
    path = with_labels(tmp_path, {"a": "Shirt", "b": "Not sure", "c": "Body"})
    given = split_file(tmp_path, ["a,t-shirt,test", "b,dress,train", "c,longsleeve,validation", "elsewhere,hat,train"])
    assert photos_of(path, given) == {
        "a": ClothingPhoto("a", "T-Shirt", "test", in_subset=True),
        "b": ClothingPhoto("b", "Dress", "train", in_subset=True),
        "c": ClothingPhoto("c", "Longsleeve", "validation", in_subset=True),
    }


@pytest.mark.parametrize("label", SUBSET)
def test_beside_a_table_other_photos_of_its_labels_are_held_back(tmp_path: Path, label: str) -> None:
    path = with_labels(tmp_path, dict.fromkeys("abi", label))
    assert {photo.split for photo in photos_of(path).values()} == {"train", "validation"}
    held_back = photos_of(path, split_file(tmp_path, ["b,hat,train"]))
    assert {name: photo.split for name, photo in held_back.items()} == {"a": "test", "b": "train", "i": "test"}
    assert (held_back["a"].label, held_back["a"].in_subset) == (label, False)


@pytest.mark.parametrize("label", ["Hoodie", "Polo", "Body", "Skip", "Not sure"])
def test_beside_a_table_photos_of_other_labels_keep_the_split_of_their_name(tmp_path: Path, label: str) -> None:
    path = with_labels(tmp_path, dict.fromkeys("abi", label))
    found = photos_of(path, split_file(tmp_path, ["elsewhere,hat,train"]))
    assert {name: photo.split for name, photo in found.items()} == {name: SPLIT_OF[name] for name in "abi"}


@pytest.mark.parametrize("label", ["Not sure", "Other", "Skip"])
def test_a_label_that_says_nothing_is_no_label(tmp_path: Path, label: str) -> None:
    photos = photos_of(with_labels(tmp_path, {"a": label, "b": "Skirt"}))
    assert (photos["a"].label, photos["b"].label) == (None, "Skirt")


def test_rows_without_a_photo_and_photos_without_a_row_are_left_out(tmp_path: Path) -> None:
    path = archive(
        tmp_path / "clothing.zip",
        {
            "images.csv": table({"a": "Hat", "b": "Hat", "c": "Hat"}),
            "images/a.jpg": jpeg(1),
            "images/c.txt": "no photo",
            "images/stranger.jpg": jpeg(2),
        },
    )
    assert list(photos_of(path)) == ["a"]


def test_photos_come_in_the_order_of_the_archives_table(tmp_path: Path) -> None:
    members = {f"images/{name}.jpg": jpeg(9) for name in "abcd"}
    path = archive(tmp_path / "clothing.zip", {**members, "images.csv": table(dict.fromkeys("dbac", "Hat"))})
    assert list(photos_of(path)) == ["d", "b", "a", "c"]


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_each_photo_is_read_as_it_was_put_in(tmp_path: Path, method: int) -> None:
    members = {"images/a.jpg": jpeg(30), "images/b.JPG": jpeg(200)}
    path = archive(tmp_path / "c.zip", {"images.csv": table({"b": "Hat", "a": "Hat"}), **members}, method)
    with ClothingArchive(path) as opened:
        greys = {photo.name: int(np.median(read_photo(opened.read(photo)))) for photo in opened.photos}
    assert greys == {"b": 200, "a": 30}


def test_an_archive_is_closed_at_the_end_of_its_block(tmp_path: Path) -> None:
    with ClothingArchive(with_labels(tmp_path, {"a": "Hat"})) as opened:
        photo = opened.photos[0]
        assert opened.read(photo) == jpeg(40)
    with pytest.raises(ValueError, match="closed"):
        opened.read(photo)


def test_a_missing_archive_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"There is no clothing dataset at .*gone.zip. Download https://github"):
        ClothingArchive(tmp_path / "gone.zip")


@pytest.mark.parametrize("content", [b"", b"my holiday pictures " * 100, b"PK\x03\x04"])
def test_a_file_that_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "clothing.zip"
    path.write_bytes(content)
    with pytest.raises(DamagedDataError, match=r"clothing.zip is not a ZIP archive .*\. Download https://") as caught:
        ClothingArchive(path)
    assert caught.value.path == path


def test_a_folder_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(DamagedDataError, match="is not a ZIP archive"):
        ClothingArchive(tmp_path)


def test_an_archive_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = with_labels(tmp_path, dict.fromkeys("abcdef", "Hat"))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedDataError, match="is not a ZIP archive"):
        ClothingArchive(path)


def test_an_archive_without_its_table_is_another(tmp_path: Path) -> None:
    path = archive(tmp_path / "other.zip", {"images/a.jpg": jpeg(1), "my images.csv": table({"a": "Hat"})})
    with pytest.raises(DamagedDataError, match=r"other.zip has no images.csv. Download https://") as caught:
        ClothingArchive(path)
    assert caught.value.path == path


@pytest.mark.parametrize("content", [b"image,kind\na,Hat\n", b"name,label\na,Hat\n", b"image,label\na,H\xe4t\n"])
def test_an_archive_whose_table_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    path = archive(tmp_path / "clothing.zip", {"images.csv": content, "images/a.jpg": jpeg(1)})
    with pytest.raises(DamagedDataError, match=r"images.csv in .*clothing.zip cannot be read") as caught:
        ClothingArchive(path)
    assert caught.value.path == path


def test_a_missing_table_of_splits_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingDataError, match=r"There is no table of splits at .*gone.csv. Correct its name."):
        ClothingArchive(with_labels(tmp_path, {"a": "Hat"}), tmp_path / "gone.csv")


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("name,label,split", "a,hat,train"),
        ("image,kind,split", "a,hat,train"),
        ("image,label", "a,hat"),
        ("image,label,split", "a,hat"),
        ("image,label,split", "a,hat,training"),
        ("image,label,split", "a,hoodie,train"),
        ("image,label,split", "a,Hat,train"),
        ("image;label;split", "a;hat;train"),
    ],
)
def test_a_table_of_splits_that_is_none_is_refused(tmp_path: Path, header: str, row: str) -> None:
    given = split_file(tmp_path, [row], header)
    with pytest.raises(DamagedDataError, match=r"split.csv is not a table of image, label and split") as caught:
        ClothingArchive(with_labels(tmp_path, {"a": "Hat"}), given)
    assert caught.value.path == given


@pytest.mark.parametrize("header", ["", "name,kind", "image,label,split"])
def test_an_empty_table_is_not_taken_for_none(tmp_path: Path, header: str) -> None:
    given = split_file(tmp_path, [], header)
    with pytest.raises(DamagedDataError, match=r"split.csv is an empty table"):
        ClothingArchive(with_labels(tmp_path, {"a": "Hat"}), given)


def test_a_folder_or_a_picture_is_no_table_of_splits(tmp_path: Path) -> None:
    path = with_labels(tmp_path, {"a": "Hat"})
    for given in (tmp_path, path):
        with pytest.raises(DamagedDataError, match="is not a table of image, label and split"):
            ClothingArchive(path, given)


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_photo_is_named_and_the_others_can_be_read(tmp_path: Path, method: int) -> None:
    members = {"images/a.jpg": jpeg(30), "images/b.jpg": jpeg(90)}
    path = archive(tmp_path / "c.zip", {"images.csv": table({"a": "Hat", "b": "Hat"}), **members}, method)
    damage(path, "images/a.jpg")
    with ClothingArchive(path) as opened:
        first, second = opened.photos
        assert opened.read(second) == jpeg(90)
        with pytest.raises(
            DamagedDataError, match=r"images/a.jpg in .*c.zip is damaged .*Download .* again."
        ) as caught:
            opened.read(first)
    assert caught.value.path == path


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_table_in_the_archive_is_named(tmp_path: Path, method: int) -> None:
    path = archive(tmp_path / "c.zip", {"images.csv": table({"a": "Hat"}), "images/a.jpg": jpeg(1)}, method)
    damage(path, "images.csv")
    with pytest.raises(DamagedDataError, match=r"images.csv in .*c.zip cannot be read"):
        ClothingArchive(path)


def test_an_archive_of_a_version_that_python_does_not_know_is_refused(tmp_path: Path) -> None:
    path = with_labels(tmp_path, {"a": "Hat"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\x01\x02") + 6] = 99  # the version needed, of the first entry in the directory
    path.write_bytes(data)
    with pytest.raises(DamagedDataError, match="is not a ZIP archive"):
        ClothingArchive(path)


def test_a_photo_larger_than_any_picture_is_refused_unread(tmp_path: Path) -> None:
    members = {"images/a.jpg": bytes(MAX_BYTES + 1), "images/b.jpg": bytes(MAX_BYTES)}
    path = archive(tmp_path / "c.zip", {"images.csv": table({"a": "Hat", "b": "Hat"}), **members}, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 200_000
    with ClothingArchive(path) as opened:
        first, second = opened.photos
        with pytest.raises(DamagedDataError, match=r"images/a.jpg in .*c.zip is too large to be a photo."):
            opened.read(first)
        assert len(opened.read(second)) == MAX_BYTES
