"""Where everything lies on disk, and how the rooms are wired together.

models/encoder/               weights.h5, as trained; encoder.tflite, as served, its card, parity.json,
                              references.h5; runs/, the training runs
models/<collection>/          head.h5, the softmax head; evaluation.json
indexes/<collection>.h5       the hash index
data/<collection>/            pictures.npy, catalogue.sqlite, embeddings-<encoder>.npy
data/downloads/               data sets as they were fetched
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion16.atomic import replacing
from fashion16.catalogue import Catalogue, Labels
from fashion16.collection import Collection
from fashion16.embedding import embed_pictures
from fashion16.encoder import Encoder, EncoderCard
from fashion16.errors import (
    CatalogueError,
    DamagedIndexError,
    DataError,
    EncoderMismatchError,
    HeadError,
    MissingIndexError,
    WorkspaceError,
)
from fashion16.fitting import LabelledPictures
from fashion16.head import Head
from fashion16.importers import FashionMNIST, ImportedItem, Progress, find_fashion_mnist
from fashion16.index import N_BITS, SEED, CategoryIndex
from fashion16.index_file import IndexHeader, read_index, write_index
from fashion16.lsh import Floats
from fashion16.references import References
from fashion16.search import Searcher

DEFAULT_COLLECTION = "fashion-mnist"
ROOT_VARIABLE = "FASHION16_HOME"
DATABASE_VARIABLE = "FASHION16_DATABASE_URL"


class Workspace:
    """A folder with models, indexes and data. The only class that knows the names of files in it."""

    def __init__(self, root: Path | None = None, database_url: str | None = None) -> None:
        """Open the workspace at `root`, else at FASHION16_HOME, else at the repository this file lies in.

        Args:
            database_url: where the catalogues are kept; else FASHION16_DATABASE_URL, else SQLite files.
        """
        here = Path(__file__).resolve().parent.parent
        self.root = (root or Path(os.environ.get(ROOT_VARIABLE) or here)).resolve()
        self.database_url = database_url or os.environ.get(DATABASE_VARIABLE) or None

    @property
    def encoder_folder(self) -> Path:
        """Where the served encoder lies."""
        return self.root / "models" / "encoder"

    @property
    def runs_folder(self) -> Path:
        """Where training runs are kept."""
        return self.encoder_folder / "runs"

    @property
    def weights_file(self) -> Path:
        """The trained weights that the served encoder was made of."""
        return self.encoder_folder / "weights.h5"

    @property
    def references_file(self) -> Path:
        """Embeddings of pictures of all kinds, to fit heads with."""
        return self.encoder_folder / "references.h5"

    def head_file(self, collection: str) -> Path:
        """The collection's softmax head."""
        return self.root / "models" / collection / "head.h5"

    def evaluation_file(self, collection: str) -> Path:
        """What the last full evaluation of the collection found."""
        return self.root / "models" / collection / "evaluation.json"

    def index_file(self, collection: str) -> Path:
        """The collection's hash index."""
        return self.root / "indexes" / f"{collection}.h5"

    def data_folder(self, collection: str) -> Path:
        """The collection's pictures and catalogue."""
        return self.root / "data" / collection

    def pictures_file(self, collection: str) -> Path:
        """The collection's pictures as one array."""
        return self.data_folder(collection) / "pictures.npy"

    def embeddings_file(self, collection: str, encoder_digest: str) -> Path:
        """The embeddings that one encoder made of the collection's pictures."""
        return self.data_folder(collection) / f"embeddings-{encoder_digest[:12]}.npy"

    def catalogue(self, collection: str) -> Catalogue:
        """The collection's catalogue, made when it is new.

        Raises:
            WorkspaceError: the data folder may not be written.
            CatalogueError: the database cannot be used.
        """
        if self.database_url:
            return Catalogue(self.database_url, schema=collection)
        folder = self.data_folder(collection)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"{folder} cannot be made ({error.strerror}). Give yourself the right to write there, or set "
                f"{ROOT_VARIABLE} to a folder of your own.",
                folder,
            ) from error
        return Catalogue.in_file(folder / "catalogue.sqlite")

    def is_imported(self, collection: str) -> bool:
        """Whether the collection's pictures and catalogue are there."""
        if not self.pictures_file(collection).is_file():
            return False
        with self.catalogue(collection) as catalogue:
            return catalogue.count() > 0

    def import_fashion_mnist(self, progress: Progress | None = None) -> int:
        """Fill the collection `fashion-mnist`; returns how many items it has. Does nothing when it is filled.

        Raises:
            MissingDataError, DamagedDataError: the four original files cannot be had, or are not the originals.
            WorkspaceError: the data folder may not be written.
        """
        name = DEFAULT_COLLECTION
        with self.catalogue(name) as catalogue:
            if self.pictures_file(name).is_file() and (count := catalogue.count()):
                return count
            data_set = FashionMNIST.read(find_fashion_mnist(self.root / "data" / "downloads", progress))
            with replacing(self.pictures_file(name)) as partial, partial.open("wb") as file:
                np.save(file, data_set.pictures)
            if not catalogue.count():
                total = len(data_set.labels)
                try:
                    catalogue.add(_reported(data_set.items(), total, progress))
                except CatalogueError:
                    # another process was faster; anything else is a real error
                    if catalogue.count() != total:
                        raise
            return catalogue.count()

    def pictures(self, collection: str) -> npt.NDArray[np.uint8]:
        """The collection's pictures, read from disk as they are used.

        Raises:
            DataError: they are not there or damaged.
        """
        path = self.pictures_file(collection)
        try:
            pictures: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r")
        except FileNotFoundError as error:
            raise DataError(
                f"The pictures of “{collection}” are not there. Fetch them with: fashion16 import {collection}"
            ) from error
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} is damaged. Remove it, and fetch it again with: fashion16 import {collection}"
            ) from error
        return pictures

    def embed(self, collection: str, encoder: Encoder, progress: Progress | None = None) -> Path:
        """Encode all pictures of the collection; an interrupted run goes on where it was.

        Returns the file of embeddings, float32, one row a picture.
        """
        path = self.embeddings_file(collection, encoder.digest)
        embed_pictures(self.pictures(collection), encoder, path, progress)
        return path

    def labelled_pictures(self, collection: str) -> LabelledPictures:
        """All labelled pictures of the collection in memory, with today's labels.

        Raises:
            DataError: the collection is not imported.
        """
        pictures = self.pictures(collection)
        with self.catalogue(collection) as catalogue:
            today = catalogue.labels()
        return LabelledPictures(np.asarray(pictures[today.positions]), today.labels, today.splits, today.revision)

    def stored_embeddings(self, collection: str, encoder_digest: str) -> tuple[npt.NDArray[np.int64], Floats, int]:
        """Ids (n,), embeddings (n, d) and the pictures' side, without a pass of the network.

        From the file that `embed` wrote, else from the index, which keeps them in 8 bits.

        Raises:
            IndexFileError: neither is there, or the index is damaged or was made with another encoder.
            DataError: the file is damaged.
        """
        path = self.embeddings_file(collection, encoder_digest)
        if path.is_file():
            try:
                rows: Floats = np.load(path)
            except (OSError, ValueError) as error:
                raise DataError(
                    f"{path} is damaged. Remove it, and make it again with: fashion16 index {collection}"
                ) from error
            with self.catalogue(collection) as catalogue:
                labels = catalogue.labels()
            card = EncoderCard.read(self.encoder_folder / "encoder.json")
            side = card.side_for(*self.pictures(collection).shape[1:3])
            return labels.ids, rows[labels.positions], side
        index, header = read_index(self.index_file(collection), encoder_digest)
        ids = np.sort(np.concatenate([partition.ids for partition in index.partitions.values()]))
        return ids, index.embeddings(ids), header.side

    def labelled_embeddings(self, collection: str, encoder_digest: str) -> tuple[Labels, Floats, int]:
        """The stored embeddings (n, d) beside today's labels, row by row, and the pictures' side.

        Items without a label or an embedding are left out. Raises what `stored_embeddings` raises.
        """
        ids, embeddings, side = self.stored_embeddings(collection, encoder_digest)
        with self.catalogue(collection) as catalogue:
            today = catalogue.labels()
        _, rows, at = np.intersect1d(ids, today.ids, return_indices=True)
        return today.of(at), embeddings[rows], side

    def build_index(
        self, collection: str, n_bits: int = N_BITS, seed: int = SEED, progress: Progress | None = None
    ) -> tuple[Head, CategoryIndex]:
        """Fit the head on the training split and build the index of all items, with today's labels.

        Pictures that this encoder has not seen yet, as after a change of encoder, are encoded first.

        Raises:
            HeadError: too few categories.
            DataError: the collection is not imported.
            ForeignIndexError, NewerIndexError: another program's file lies where the index belongs.
        """
        digest = EncoderCard.read(self.encoder_folder / "encoder.json").digest
        try:
            today, embeddings, side = self.labelled_embeddings(collection, digest)
        except (MissingIndexError, DamagedIndexError, EncoderMismatchError):
            self.embed(collection, Encoder(self.encoder_folder), progress)
            today, embeddings, side = self.labelled_embeddings(collection, digest)
        train = today.splits == "train"
        references = References.read(self.references_file, digest)
        head = Head.fit(embeddings[train], today.labels[train], digest, today.revision, references=references)
        check = today.splits == "validation"
        head = head.calibrated(embeddings[check], today.labels[check])
        index = CategoryIndex.build(embeddings, today.ids, today.labels, n_bits, seed)
        head.write(self.head_file(collection))
        write_index(self.index_file(collection), index, IndexHeader(digest, side, today.revision, seed))
        return head, index

    def open(self, collection: str = DEFAULT_COLLECTION) -> Collection:
        """Everything a search needs, loaded and checked against each other.

        Raises:
            Fashion16Error: something is missing or does not fit; the message says which command mends it.
        """
        encoder = Encoder(self.encoder_folder)
        head = Head.read(self.head_file(collection))
        if head.encoder_digest != encoder.digest:
            raise HeadError(
                f"The head of “{collection}” was fitted with another encoder. Make it again with: "
                f"fashion16 index {collection}"
            )
        index, header = read_index(self.index_file(collection), encoder.digest)
        searcher = Searcher(encoder, head, index, header.side)
        return Collection(collection, self.catalogue(collection), self.pictures(collection), searcher, header.revision)


def _reported(items: Iterable[ImportedItem], total: int, progress: Progress | None) -> Iterator[ImportedItem]:
    for done, item in enumerate(items, start=1):
        yield item
        if progress and (done % 1000 == 0 or done == total):
            progress(done, total)
