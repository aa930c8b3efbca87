"""Fashion-MNIST as published, and the four ways to come by it."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.importing import fashion_mnist_items, fashion_mnist_splits
from fashion16.errors import DamagedDataError, MissingDataError
from fashion16.sources import fashion_mnist as importers
from fashion16.sources.fashion_mnist import (
    CATEGORIES,
    FILES,
    FashionMNIST,
    OriginalFile,
    find_fashion_mnist,
)

NOWHERE = Path("/nowhere/datasets/fashion-mnist")


def idx(values: np.ndarray) -> bytes:
    """The values as an IDX file of bytes."""
    lengths = b"".join(length.to_bytes(4, "big") for length in values.shape)
    return bytes([0, 0, 8, values.ndim]) + lengths + values.tobytes()


def tiny_files() -> dict[str, bytes]:
    """A set of 3 training and 2 test pictures of 2 by 2 pixels, each filled with its label."""
    contents = {}
    for name, labels in (("train", [0, 9, 4]), ("t10k", [1, 2])):
        values = np.array(labels, np.uint8)
        contents[f"{name}-images-idx3-ubyte.gz"] = idx(np.repeat(values, 4).reshape(-1, 2, 2))
        contents[f"{name}-labels-idx1-ubyte.gz"] = idx(values)
    return contents


def adopt(monkeypatch: pytest.MonkeyPatch, contents: dict[str, bytes]) -> dict[str, bytes]:
    """Make these contents the originals; returns the files as they would be served."""
    served = {name: gzip.compress(content, mtime=0) for name, content in contents.items()}
    originals = tuple(
        OriginalFile(
            file.name,
            hashlib.sha256(served[file.name]).hexdigest(),
            hashlib.sha256(contents[file.name]).hexdigest(),
        )
        for file in FILES
    )
    monkeypatch.setattr(importers, "FILES", originals)
    return served


def put(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


class Breaking(BaseHTTPRequestHandler):
    """Promises a thousand bytes, sends ten and hangs up."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(bytes(10))

    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


class Folder(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Tests are quiet."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[Path, str, str]]:
    """A folder, the address at which it is served, and an address that breaks off."""
    root = tmp_path / "web"
    root.mkdir()
    servers = [
        ThreadingHTTPServer(("127.0.0.1", 0), handler) for handler in (partial(Folder, directory=root), Breaking)
    ]
    threads = [threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}) for server in servers]
    for thread in threads:
        thread.start()
    yield root, *(f"http://127.0.0.1:{server.server_port}/" for server in servers)
    for server, thread in zip(servers, threads, strict=True):
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without Debian's folder and without apt-get, and with no public copy but those a test names."""
    monkeypatch.setattr(importers, "DEBIAN_FOLDER", NOWHERE)
    monkeypatch.setattr(importers, "PUBLIC_COPIES", ())
    monkeypatch.setattr(shutil, "which", lambda _: None)


@pytest.fixture(scope="module")
def fashion_mnist(fashion_mnist_folder: Path) -> FashionMNIST:
    return FashionMNIST.read(fashion_mnist_folder)


def test_the_data_set_has_its_published_shape(fashion_mnist: FashionMNIST) -> None:
    assert fashion_mnist.pictures.shape == (70_000, 28, 28)
    assert fashion_mnist.pictures.dtype == np.uint8
    assert fashion_mnist.labels.shape == (70_000,)


def test_each_label_has_6000_training_and_1000_test_pictures(fashion_mnist: FashionMNIST) -> None:
    assert np.bincount(fashion_mnist.labels[:60_000]).tolist() == [6_000] * 10
    assert np.bincount(fashion_mnist.labels[60_000:]).tolist() == [1_000] * 10


def test_the_first_pictures_are_the_published_ones(fashion_mnist: FashionMNIST) -> None:
    # as shown in the paper's repository: an ankle boot and two tops
    assert [CATEGORIES[label] for label in fashion_mnist.labels[:3]] == ["Ankle boot", "T-shirt/top", "T-shirt/top"]
    # white on black: most corners are background
    assert np.median(fashion_mnist.pictures[:, 0, 0]) == 0


def test_the_validation_set_is_a_fixed_choice_of_5000_from_the_training_pictures() -> None:
    splits = fashion_mnist_splits()
    assert {name: int((splits == name).sum()) for name in np.unique(splits)} == {
        "test": 10_000,
        "train": 55_000,
        "validation": 5_000,
    }
    assert (splits[60_000:] == "test").all()
    chosen = np.flatnonzero(splits == "validation").astype("<u4")
    # another choice would let the head be fitted on what it was measured with
    assert (
        hashlib.sha256(chosen.tobytes()).hexdigest()
        == "5486cdd8c627b5a9cd5a5ea967d11b10b5b95a7818158325c1e3877b2756ed6f"
    )


def test_each_picture_is_one_item_in_one_split(fashion_mnist: FashionMNIST) -> None:
    items = list(fashion_mnist_items(fashion_mnist))
    assert [item.position for item in items] == list(range(70_000))
    first = fashion_mnist.pictures[0].tobytes()
    assert items[0] == ImportedItem(0, hashlib.sha256(first).hexdigest(), "Ankle boot", "train", "fashion-mnist")
    counts = {
        split: np.unique([item.label for item in items if item.split == split], return_counts=True)
        for split in ("train", "validation", "test")
    }
    assert sum(counts[split][1] for split in counts).tolist() == [7_000] * 10
    assert counts["test"][1].tolist() == [1_000] * 10
    labels = sorted(CATEGORIES)
    assert dict(zip(labels, counts["validation"][1].tolist(), strict=True)) == {
        "Ankle boot": 476,
        "Bag": 506,
        "Coat": 537,
        "Dress": 493,
        "Pullover": 497,
        "Sandal": 477,
        "Shirt": 503,
        "Sneaker": 472,
        "T-shirt/top": 549,
        "Trouser": 490,
    }


def test_no_picture_of_the_test_split_is_in_another(fashion_mnist: FashionMNIST) -> None:
    positions: dict[str, set[int]] = {"train": set(), "validation": set(), "test": set()}
    for position, split in enumerate(fashion_mnist_splits()):
        positions[split].add(position)
    assert sum(len(its) for its in positions.values()) == len(set.union(*positions.values())) == 70_000


def test_a_set_of_any_size_is_read_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, adopt(monkeypatch, tiny_files()))
    data_set = FashionMNIST.read(tmp_path)
    assert data_set.labels.tolist() == [0, 9, 4, 1, 2]
    assert data_set.pictures[:, 1, 1].tolist() == [0, 9, 4, 1, 2]


def test_debian_s_folder_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    debian, cache = put(tmp_path / "debian", tiny_files()), put(tmp_path / "cache", tiny_files())
    monkeypatch.setattr(importers, "DEBIAN_FOLDER", debian)
    assert find_fashion_mnist(cache) == debian


@pytest.mark.usefixtures("nowhere")
def test_an_earlier_download_comes_before_a_new_one(tmp_path: Path) -> None:
    cache = put(tmp_path / "cache", tiny_files())
    assert find_fashion_mnist(cache) == cache


@pytest.mark.usefixtures("nowhere")
def test_the_files_are_downloaded_and_progress_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: tuple[Path, str, str]
) -> None:
    root, address, _ = web
    served = adopt(monkeypatch, tiny_files())
    put(root, served)
    monkeypatch.setattr(importers, "PUBLIC_COPIES", (address,))
    told: list[tuple[int, int]] = []
    cache = tmp_path / "new" / "cache"
    assert find_fashion_mnist(cache, lambda done, total: told.append((done, total))) == cache
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == served
    assert {total for _, total in told} == {4_000}
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (4_000, 4_000)
    assert len(FashionMNIST.read(cache).labels) == 5


@pytest.mark.usefixtures("nowhere")
def test_what_an_interrupted_download_left_is_not_downloaded_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: tuple[Path, str, str]
) -> None:
    root, address, _ = web
    served = adopt(monkeypatch, tiny_files())
    first = FILES[0].name
    cache = put(tmp_path / "cache", {first: served.pop(first)})
    put(root, served)
    monkeypatch.setattr(importers, "PUBLIC_COPIES", (address,))
    assert find_fashion_mnist(cache) == cache
    assert len(list(cache.iterdir())) == 4


@pytest.mark.usefixtures("nowhere")
def test_a_wrong_checksum_is_refused_and_the_next_copy_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: tuple[Path, str, str]
) -> None:
    root, address, _ = web
    served = adopt(monkeypatch, tiny_files())
    put(root / "good", served)
    put(root / "bad", {name: data + b"virus" for name, data in served.items()})
    monkeypatch.setattr(importers, "PUBLIC_COPIES", (address + "bad/", address + "good/"))
    cache = find_fashion_mnist(tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == served


@pytest.mark.usefixtures("nowhere")
def test_a_download_that_breaks_off_is_given_up_and_the_next_copy_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: tuple[Path, str, str]
) -> None:
    root, address, breaking = web
    served = adopt(monkeypatch, tiny_files())
    put(root, served)
    monkeypatch.setattr(importers, "PUBLIC_COPIES", (breaking, address))
    cache = find_fashion_mnist(tmp_path / "cache")
    assert {path.name: path.read_bytes() for path in cache.iterdir()} == served


@pytest.mark.usefixtures("nowhere")
def test_when_all_ways_fail_each_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, web: tuple[Path, str, str]
) -> None:
    root, address, breaking = web
    put(root / "bad", {name: b"virus" for name in adopt(monkeypatch, tiny_files())})
    copies = (address + "missing/", address + "bad/", breaking, "http://127.0.0.1:1/")
    monkeypatch.setattr(importers, "PUBLIC_COPIES", copies)
    cache = tmp_path / "cache"
    with pytest.raises(MissingDataError, match="Connect to the internet and start again, or install") as caught:
        find_fashion_mnist(cache)
    debian, earlier, download, package = caught.value.tried
    assert debian == f"{NOWHERE}: not there"
    assert earlier == f"{cache}: no earlier download"
    missing, bad, broken, closed = download.split("; ")
    assert missing.startswith(f"{copies[0]}: 404")
    assert bad.startswith(f"{copies[1]}: SHA256 hash of downloaded file")
    assert "10 bytes read, 990 more expected" in broken
    assert "Connection refused" in closed
    assert package == "Debian's package dataset-fashion-mnist: this machine has no apt-get"
    assert all(f"\n  - {line}" in str(caught.value) for line in caught.value.tried)
    # nothing half downloaded stays behind to be taken for the real thing
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("nowhere")
def test_a_folder_that_cannot_be_made_is_a_reason_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importers, "PUBLIC_COPIES", ("http://127.0.0.1:1/",))
    (tmp_path / "data").write_text("a file")
    with pytest.raises(MissingDataError) as caught:
        find_fashion_mnist(tmp_path / "data" / "cache")
    assert "data" in caught.value.tried[2]


def test_debian_s_package_is_unpacked_without_root(tmp_path: Path, fashion_mnist: FashionMNIST) -> None:
    # the fourth way itself: on a machine that has the folder, `find_fashion_mnist` never comes to it
    importers._unpack_debian_package(tmp_path / "cache", None)
    unpacked = FashionMNIST.read(tmp_path / "cache")
    assert np.array_equal(unpacked.pictures, fashion_mnist.pictures)
    assert np.array_equal(unpacked.labels, fashion_mnist.labels)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == sorted(file.name for file in FILES)


def test_a_package_that_cannot_be_had_is_one_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("apt-get", "dpkg-deb"):
        (tools / name).write_text("#!/bin/sh\nexit 100\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    with pytest.raises(MissingDataError, match="^Debian's package dataset-fashion-mnist: .*apt-get.* exit status 100"):
        importers._unpack_debian_package(tmp_path / "cache", None)


def test_a_machine_without_package_lists_fetches_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    # refuses to download until lists were fetched into a folder of the caller's own
    (tools / "apt-get").write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "*State::Lists=*update) touch updated ;;\n"
        "*State::Lists=*download*) [ -e updated ] && touch package.deb ;;\n"
        "*) exit 100 ;;\n"
        "esac\n"
    )
    unpacked = tmp_path / "root" / importers.DEBIAN_FOLDER.relative_to("/")
    put(unpacked, tiny_files())
    (tools / "dpkg-deb").write_text(f'#!/bin/sh\ncp -r {tmp_path}/root "$3"\n')
    for name in ("apt-get", "dpkg-deb"):
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    importers._unpack_debian_package(tmp_path / "cache", None)
    assert {path.name: path.read_bytes() for path in (tmp_path / "cache").iterdir()} == tiny_files()


@pytest.mark.parametrize("number", range(4), ids=[file.name for file in FILES])
def test_a_file_with_other_content_is_not_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    served = adopt(monkeypatch, tiny_files())
    name = FILES[number].name
    put(tmp_path, served | {name: gzip.compress(b"another")})
    with pytest.raises(
        DamagedDataError, match="not the original file of Fashion-MNIST. Remove it and import"
    ) as caught:
        FashionMNIST.read(tmp_path)
    assert caught.value.path == tmp_path / name


def test_a_file_cut_off_anywhere_is_broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = adopt(monkeypatch, tiny_files())
    name = FILES[0].name
    for length in range(len(served[name])):
        put(tmp_path, served | {name: served[name][:length]})
        with pytest.raises(DamagedDataError) as caught:
            FashionMNIST.read(tmp_path)
        assert caught.value.path == tmp_path / name


def test_a_file_with_an_altered_byte_is_broken_or_still_the_original(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = adopt(monkeypatch, tiny_files())
    name = FILES[0].name
    damaged = 0
    for place in range(len(served[name])):
        data = bytearray(served[name])
        data[place] ^= 0xFF
        put(tmp_path, served | {name: bytes(data)})
        try:
            # gzip's header names a time and a system, which do not matter
            assert FashionMNIST.read(tmp_path).labels.tolist() == [0, 9, 4, 1, 2]
        except DamagedDataError as error:
            damaged += 1
            assert "Remove it and import again." in str(error)
    assert damaged > len(served[name]) - 10


def test_a_missing_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = adopt(monkeypatch, tiny_files())
    put(tmp_path, served)
    (tmp_path / FILES[3].name).unlink()
    with pytest.raises(DamagedDataError, match=f"{FILES[3].name} is broken .*No such file"):
        FashionMNIST.read(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is not an IDX file of bytes"),
        (b"\0\0\x08", "is not an IDX file of bytes"),
        (b"\0\0\x0d\x01\0\0\0\x01\0\0\0\0", "is not an IDX file of bytes"),  # floats
        (b"\0\0\x08\x03\0\0\0\x01", "is not an IDX file of bytes"),  # two of three lengths are missing
        (b"\0\0\x08\x02\0\0\0\x02\0\0\0\x03" + bytes(5), "should hold 6 values, but has 5"),
        (b"\0\0\x08\x01\0\0\0\x02" + bytes(3), "should hold 2 values, but has 3"),
    ],
)
def test_what_is_no_idx_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    put(tmp_path, adopt(monkeypatch, tiny_files() | {FILES[0].name: data}))
    with pytest.raises(DamagedDataError, match=message) as caught:
        FashionMNIST.read(tmp_path)
    assert caught.value.path == tmp_path / FILES[0].name
