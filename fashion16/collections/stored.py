"""One collection of a workspace as it lies on disk: its files, its catalogue, its lock and the card of its encoder."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion16 import settings
from fashion16.catalogue.catalogue import Catalogue
from fashion16.collections.layout import Layout, check_name
from fashion16.collections.pictures import PictureStore, StoredPictures
from fashion16.errors import DataError, WorkspaceError
from fashion16.files.locks import only_one
from fashion16.search.encoder import Encoder, EncoderCard
from fashion16.types import Pixels


class StoredCollection:
    """What is known of a collection without opening it for a search. Safe to share between threads.

    Made by `Workspace.collection`, for one command, page or opened collection: it reads the encoder's card once.
    """

    def __init__(self, layout: Layout, name: str) -> None:
        """The collection of this name, which need not be there yet.

        Raises:
            WorkspaceError: no collection can be called so.
        """
        self.layout = layout
        self.name = check_name(name)
        self._lock = threading.Lock()
        self._catalogue: Catalogue | None = None
        self._n_users = 0  # blocks that use the catalogue

    def __repr__(self) -> str:
        return f"StoredCollection({str(self.layout.root)!r}, {self.name!r})"

    @cached_property
    def card(self) -> EncoderCard:
        """The card of the encoder that serves the collection.

        Raises:
            EncoderError: there is no encoder.
        """
        return EncoderCard.read(self.layout.encoder_card)

    def encoder(self) -> Encoder:
        """The encoder itself, loaded.

        Raises:
            EncoderError: there is none, or it is damaged.
        """
        return Encoder(self.layout.encoder_folder, self.card)

    def lock(self) -> AbstractContextManager[None]:
        """What an import, a refit and a new index hold while they run, so that one of them runs at a time.

        Raises:
            BusyError: another process holds it.
            WorkspaceError: the folder may not be written.
        """
        return only_one(self.import_lock)

    @contextmanager
    def catalogue(self) -> Iterator[Catalogue]:
        """The collection's catalogue, made when it is new. Blocks within a block share one opening of the database.

        Raises:
            WorkspaceError: the data folder may not be written.
            CatalogueError: the database cannot be used.
        """
        with self._lock:
            if self._catalogue is None:
                self._catalogue = self._opened_catalogue()
            self._n_users += 1
            catalogue = self._catalogue
        try:
            yield catalogue
        finally:
            with self._lock:
                self._n_users -= 1
                if not self._n_users:
                    self._catalogue = None
                    catalogue.close()

    def _opened_catalogue(self) -> Catalogue:
        if self.layout.database_url:
            return Catalogue(self.layout.database_url, schema=self.name)
        try:
            self.data_folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"{self.data_folder} cannot be made ({error.strerror}). Give yourself the right to write there, or set "
                f"{settings.HOME.variable} to a folder of your own.",
                self.data_folder,
            ) from error
        return Catalogue.in_file(self.data_folder / "catalogue.sqlite")

    def is_imported(self) -> bool:
        """Whether the collection's pictures and catalogue are there."""
        if not self.has_pictures():
            return False
        with self.catalogue() as catalogue:
            return catalogue.count() > 0

    def has_pictures(self) -> bool:
        """Whether the collection has pictures, as an array or as files."""
        return self.pictures_file.is_file() or self.has_files()

    def has_files(self) -> bool:
        """Whether the collection's pictures are files, and not one array."""
        return not self.pictures_file.is_file() and self.store().is_there()

    def store(self) -> PictureStore:
        """The collection's pictures as files."""
        return PictureStore(self.data_folder, self.pack_folder)

    def pictures(self) -> npt.NDArray[np.uint8]:
        """The collection's pictures, read from disk as they are used.

        Raises:
            DataError: they are not there or damaged.
        """
        path = self.pictures_file
        try:
            pictures: npt.NDArray[np.uint8] = np.load(path, mmap_mode="r")
        except FileNotFoundError as error:
            raise DataError(
                f"The pictures of “{self.name}” are not there. Fetch them with: fashion16 import {self.name}"
            ) from error
        except (OSError, ValueError) as error:
            raise DataError(
                f"{path} is damaged. Remove it, and fetch it again with: fashion16 import {self.name}"
            ) from error
        return pictures

    def rows(self) -> Sequence[Pixels]:
        """The collection's pictures by row, as the network is to see them; read from disk as they are used.

        Raises:
            DataError: they are not there or damaged.
        """
        if not self.has_files():
            return self.pictures()  # type: ignore[return-value]
        with self.catalogue() as catalogue:
            active, files = set(catalogue.active().ids.tolist()), catalogue.files()
        # a pack has no pictures of items that are excluded
        excluded = {row for row, (item_id, *_) in enumerate(files) if item_id not in active}
        sized = [(file, width, height) for _, file, width, height in files]
        return StoredPictures(self.store(), sized, excluded)

    def side(self, card: EncoderCard) -> int:
        """The side at which the collection is encoded: the small one where most of its pictures are small."""
        if not self.has_files():
            return card.side_for(*self.pictures().shape[1:3])
        with self.catalogue() as catalogue:
            longer = [max(width, height) for _, _, width, height in catalogue.files()]
        middle = int(np.median(longer)) if longer else card.small_pictures + 1
        return card.side_for(middle, middle)

    @property
    def head_file(self) -> Path:
        """The collection's softmax head."""
        return self.layout.root / "models" / self.name / "head.h5"

    @property
    def candidate_head_file(self) -> Path:
        """A head fitted with today's labels, until somebody decides between it and the present one."""
        return self.layout.root / "models" / self.name / "head.candidate.h5"

    @property
    def evaluation_file(self) -> Path:
        """What the last full evaluation of the collection found."""
        return self.layout.root / "models" / self.name / "evaluation.json"

    @property
    def predictions_file(self) -> Path:
        """What the head predicted for each test picture in that evaluation."""
        return self.layout.root / "models" / self.name / "predictions.parquet"

    @property
    def index_file(self) -> Path:
        """The collection's hash index."""
        return self.layout.root / "indexes" / f"{self.name}.h5"

    @property
    def data_folder(self) -> Path:
        """The collection's pictures and catalogue."""
        return self.layout.root / "data" / self.name

    @property
    def pictures_file(self) -> Path:
        """The collection's pictures as one array."""
        return self.data_folder / "pictures.npy"

    def embeddings_file(self, encoder_digest: str, side: int) -> Path:
        """The embeddings that one encoder made of the collection's pictures at this side."""
        return self.data_folder / f"embeddings-{encoder_digest[:12]}-{side}.npy"

    @property
    def label_issues_file(self) -> Path:
        """The ranking of the collection's labels by suspicion."""
        return self.data_folder / "label-issues.h5"

    @property
    def map_file(self) -> Path:
        """Where the collection's items lie on its map."""
        return self.data_folder / "map.h5"

    @property
    def selections_folder(self) -> Path:
        """Items that somebody picked on one page to look at on another."""
        return self.data_folder / "selections"

    @property
    def pack_folder(self) -> Path:
        """The collection as it was packed for sharing."""
        return self.layout.root / "packs" / self.name

    @property
    def import_lock(self) -> Path:
        """What an import of the collection holds while it runs."""
        return self.data_folder / "import.lock"

    @property
    def job_folder(self) -> Path:
        """What a process that the app started for the collection says of itself."""
        return self.layout.jobs_folder / self.name
