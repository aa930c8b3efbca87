"""Data sets as streams of pictures and labels. So far: Fashion-MNIST in its four original files.

Xiao, Rasul, Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
algorithms", arXiv:1708.07747, 2017. MIT licence.
"""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion16.errors import DamagedDataError, MissingDataError
from fashion16.sources.mnist import parse_idx
from fashion16.types import Progress

DEBIAN_PACKAGE = "dataset-fashion-mnist"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
PUBLIC_COPIES = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
)
DOWNLOAD_TIMEOUT = 10  # seconds without an answer; a closed network should not look like a hang
CATEGORIES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
VALIDATION_SIZE = 5_000
VALIDATION_SEED = 16


@dataclass(frozen=True)
class OriginalFile:
    """One of the four files: its name, the SHA-256 of the public copy, and that of its unpacked content.

    Debian recompresses the files, so only the content is the same everywhere.
    """

    name: str
    sha256_of_download: str
    sha256_of_content: str


FILES = (
    OriginalFile(
        "train-images-idx3-ubyte.gz",
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    ),
    OriginalFile(
        "train-labels-idx1-ubyte.gz",
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    ),
    OriginalFile(
        "t10k-images-idx3-ubyte.gz",
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    ),
    OriginalFile(
        "t10k-labels-idx1-ubyte.gz",
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    ),
)


@dataclass(frozen=True)
class FashionMNIST:
    """The data set in memory: pictures (70,000, 28, 28) uint8, white on black, and labels (70,000,)."""

    pictures: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.uint8]

    @classmethod
    def read(cls, folder: Path) -> FashionMNIST:
        """The training pictures, then the test pictures, as published.

        Raises:
            DamagedDataError: a file is broken, or is not the original.
        """
        contents = [_content(folder / file.name, file) for file in FILES]
        train_pictures, train_labels, test_pictures, test_labels = (
            parse_idx(data, folder / file.name) for data, file in zip(contents, FILES, strict=True)
        )
        return cls(
            np.concatenate([train_pictures, test_pictures]),
            np.concatenate([train_labels, test_labels]),
        )


def find_fashion_mnist(cache: Path, progress: Progress | None = None) -> Path:
    """The folder with the four original files; fetches them into `cache` when no folder has them.

    In this order: Debian's dataset folder; an earlier download; a download of the public copies; Debian's
    package unpacked without root.

    Raises:
        MissingDataError: none of the four ways worked; the message says why each failed.
    """
    for folder in (DEBIAN_FOLDER, cache):
        if all((folder / file.name).is_file() for file in FILES):
            return folder
    tried = [f"{DEBIAN_FOLDER}: not there", f"{cache}: no earlier download"]
    for fetch in (_download, _unpack_debian_package):
        try:
            fetch(cache, progress)
        except MissingDataError as error:
            tried.append(str(error))
        else:
            return cache
    raise MissingDataError(
        "Fashion-MNIST was nowhere to be found. Connect to the internet and start again, or install "
        f"Debian's package ({DEBIAN_PACKAGE}), or put its four original .gz files into {cache}. Tried:",
        tried,
    )


def download(url: str, path: Path, sha256: str | None = None, progress: Progress | None = None) -> None:
    """Fetch a file to `path`, which is there whole or not at all; `progress` is in bytes.

    Raises:
        OSError: it cannot be had.
        ValueError: it has another digest.
    """
    import pooch  # here, because its import takes 0.2 s and most starts need no download

    bar = _PoochProgress(progress) if progress else False
    pooch.retrieve(
        url,
        known_hash=f"sha256:{sha256}" if sha256 else None,
        fname=path.name,
        path=path.parent,
        downloader=pooch.HTTPDownloader(progressbar=bar, timeout=DOWNLOAD_TIMEOUT),
    )


def _download(cache: Path, progress: Progress | None) -> None:
    failures = []
    for base in PUBLIC_COPIES:
        try:
            for done, file in enumerate(FILES):
                share = _share_of_four(progress, done) if progress else None
                download(base + file.name, cache / file.name, file.sha256_of_download, share)
            return
        except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
            failures.append(f"{base}: {_first_line(error)}")
    raise MissingDataError("; ".join(failures))


def _share_of_four(progress: Progress, files_done: int) -> Progress:
    """Progress of one file as a share of all four."""

    def report(done: int, total: int) -> None:
        progress(int(1000 * (files_done + min(1.0, done / total))), 1000 * len(FILES))

    return report


class _PoochProgress:
    """pooch's progress-bar protocol."""

    def __init__(self, progress: Progress) -> None:
        self.progress, self.done, self.total = progress, 0, 1

    def update(self, size: int) -> None:
        self.done += size
        # an archive that is packed as it is sent has no length
        self.progress(self.done, max(self.done, self.total))

    def reset(self) -> None:
        self.done = 0

    def close(self) -> None:
        self.done = 0


def _unpack_debian_package(cache: Path, progress: Progress | None) -> None:
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise MissingDataError(f"Debian's package {DEBIAN_PACKAGE}: this machine has no apt-get")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        try:
            cache.mkdir(parents=True, exist_ok=True)
            _apt_download(folder)
            (package,) = folder.glob("*.deb")
            _run(["dpkg-deb", "-x", str(package), str(folder / "root")], folder)
            for file in FILES:
                unpacked = folder / "root" / DEBIAN_FOLDER.relative_to("/") / file.name
                partial = cache / f"{file.name}.partial"
                shutil.copyfile(unpacked, partial)
                partial.replace(cache / file.name)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            raise MissingDataError(f"Debian's package {DEBIAN_PACKAGE}: {_first_line(error)}") from error


def _apt_download(folder: Path) -> None:
    try:
        _run(["apt-get", "-q", "download", DEBIAN_PACKAGE], folder)
    except subprocess.SubprocessError:
        # a fresh machine has no package lists, and only root may write them: keep our own
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        own = [f"-oDir::State::Lists={folder / 'lists'}", f"-oDir::Cache={folder / 'cache'}"]
        _run(["apt-get", "-q", *own, "update"], folder)
        _run(["apt-get", "-q", *own, "download", DEBIAN_PACKAGE], folder)


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=300)


def _content(path: Path, file: OriginalFile) -> bytes:
    try:
        with gzip.open(path) as stream:
            data = stream.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DamagedDataError(f"{path} is broken ({_first_line(error)}). Remove it and import again.", path) from error
    if hashlib.sha256(data).hexdigest() != file.sha256_of_content:
        raise DamagedDataError(f"{path} is not the original file of Fashion-MNIST. Remove it and import again.", path)
    return data


def _first_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:400]
