"""How the rooms are wired together: importing, embedding, building and opening a collection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fashion16.catalogue.catalogue import Catalogue
from fashion16.collections.embeddings import embed_pictures
from fashion16.collections.layout import DEFAULT_COLLECTION, ROOT_VARIABLE, Layout, check_name
from fashion16.collections.opened import Collection
from fashion16.collections.pictures import ArrayPictures, PictureStore, StoredPictures
from fashion16.errors import (
    DamagedIndexError,
    DataError,
    EncoderMismatchError,
    HeadError,
    IndexFileError,
    MissingIndexError,
    WorkspaceError,
)
from fashion16.files.locks import only_one
from fashion16.search.encoder import Encoder, EncoderCard
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import IndexHeader, read_index, settings_in, write_index
from fashion16.search.references import References
from fashion16.search.searcher import Searcher
from fashion16.training.data import LabelledPictures
from fashion16.types import Floats, Labels, Pixels, Progress


class Workspace(Layout):
    """A folder with models, indexes and data, and what is done with it."""

    def catalogue(self, collection: str) -> Catalogue:
        """The collection's catalogue, made when it is new.

        Raises:
            WorkspaceError: the data folder may not be written, or no collection can be called so.
            CatalogueError: the database cannot be used.
        """
        folder = self.data_folder(check_name(collection))
        if self.database_url:
            return Catalogue(self.database_url, schema=collection)
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
        if not self.has_pictures(collection):
            return False
        with self.catalogue(collection) as catalogue:
            return catalogue.count() > 0

    def has_pictures(self, collection: str) -> bool:
        """Whether the collection has pictures, as an array or as files."""
        return self.pictures_file(collection).is_file() or self.has_files(collection)

    def has_files(self, collection: str) -> bool:
        """Whether the collection's pictures are files, and not one array."""
        return not self.pictures_file(collection).is_file() and self.store(collection).is_there()

    def store(self, collection: str) -> PictureStore:
        """The collection's pictures as files."""
        return PictureStore(self.data_folder(collection), self.pack_folder(collection))

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

    def rows(self, collection: str) -> Sequence[Pixels]:
        """The collection's pictures by row, as the network is to see them; read from disk as they are used.

        Raises:
            DataError: they are not there or damaged.
        """
        if not self.has_files(collection):
            return self.pictures(collection)  # type: ignore[return-value]
        with self.catalogue(collection) as catalogue:
            active, files = set(catalogue.active().ids.tolist()), catalogue.files()
        # a pack has no pictures of items that are excluded
        excluded = {row for row, (item_id, *_) in enumerate(files) if item_id not in active}
        sized = [(file, width, height) for _, file, width, height in files]
        return StoredPictures(self.store(collection), sized, excluded)

    def side(self, collection: str, card: EncoderCard) -> int:
        """The side at which the collection is encoded: the small one where most of its pictures are small."""
        if not self.has_files(collection):
            return card.side_for(*self.pictures(collection).shape[1:3])
        with self.catalogue(collection) as catalogue:
            longer = [max(width, height) for _, _, width, height in catalogue.files()]
        middle = int(np.median(longer)) if longer else card.small_pictures + 1
        return card.side_for(middle, middle)

    def embed(self, collection: str, encoder: Encoder, progress: Progress | None = None) -> Path:
        """Encode all pictures of the collection that are not encoded yet; an interrupted run goes on where it was.

        Returns the file of embeddings, float32, one row a picture.

        Raises:
            DataError: there are no pictures, or one is missing.
            WorkspaceError: the folder may not be written, or the disk is full.
        """
        side = self.side(collection, encoder.card)
        path = self.embeddings_file(collection, encoder.digest, side)
        rows = self.rows(collection)
        if not len(rows):
            raise DataError(f"“{collection}” has no pictures yet. Import some.")
        embed_pictures(rows, side, encoder, path, progress)
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

        From the file that `embed` wrote, else from the index, which keeps them in 16 bits a value.

        Raises:
            IndexFileError: neither is there, or the index is damaged or was made with another encoder.
            DataError: the file is damaged.
        """
        card = EncoderCard.read(self.encoder_folder / "encoder.json")
        if (
            self.has_pictures(collection)
            and (
                path := self.embeddings_file(collection, encoder_digest, side := self.side(collection, card))
            ).is_file()
        ):
            try:
                rows: Floats = np.load(path)
            except (OSError, ValueError) as error:
                raise DataError(
                    f"{path} is damaged. Remove it, and make it again with: fashion16 index {collection}"
                ) from error
            with self.catalogue(collection) as catalogue:
                today = catalogue.active()
            today = today.of(today.rows < len(rows))
            return today.ids, rows[today.rows], side
        index, header = read_index(self.index_file(collection), encoder_digest)
        ids = np.sort(np.concatenate([partition.ids for partition in index.partitions.values()]))
        return ids, index.embeddings(ids), header.side

    def active_embeddings(self, collection: str, encoder_digest: str) -> tuple[Labels, Floats, int]:
        """The stored embeddings (n, d) beside today's labels, row by row, and the pictures' side.

        Items without an embedding are left out. Raises what `stored_embeddings` raises.
        """
        ids, embeddings, side = self.stored_embeddings(collection, encoder_digest)
        with self.catalogue(collection) as catalogue:
            today = catalogue.active()
        _, rows, at = np.intersect1d(ids, today.ids, return_indices=True)
        return today.of(at), embeddings[rows], side

    def labelled_embeddings(self, collection: str, encoder_digest: str) -> tuple[Labels, Floats, int]:
        """What `active_embeddings` returns, less the items without a label."""
        today, embeddings, side = self.active_embeddings(collection, encoder_digest)
        return today.labelled, embeddings[today.labels != ""], side

    def build_index(
        self,
        collection: str,
        n_bits: int | None = None,
        seed: int | None = None,
        progress: Progress | None = None,
    ) -> tuple[Head, CategoryIndex]:
        """Fit the head on the training split and build the index of all items, with today's labels.

        Pictures that this encoder has not seen yet, new ones or all after a change of encoder, are encoded first.
        An item without a label lies in the category that the head predicts for it. What was pinned of a category
        stays.

        Args:
            n_bits: bits of a code; None for as many as the present index has, or the recommended number.
            seed: of the hyperplanes; None for that of the present index, or the recommended one.

        Raises:
            TuningError: the index cannot have these settings; nothing is changed.
            HeadError: too few categories.
            DataError: the collection is not imported.
            BusyError: an import of it runs.
            ForeignIndexError, NewerIndexError: another program's file lies where the index belongs.
        """
        if not self.has_pictures(collection):
            self.pictures(collection)  # says what is not there; the lock would leave a trace
        with only_one(self.import_lock(collection)):
            chosen = settings_in(self.index_file(collection)).changed(n_bits, seed)
            chosen.check()
            digest = EncoderCard.read(self.encoder_folder / "encoder.json").digest
            today, embeddings, side = self.encoded(collection, digest, progress)
            references = References.read(self.references_file, digest)
            head = Head.of_collection(embeddings, today, digest, references)
            names = today.labels.astype(object)
            names[names == ""] = head.predict(embeddings[names == ""])
            index = CategoryIndex.build(
                embeddings, today.ids, names.astype(np.str_), chosen.n_bits, chosen.seed, chosen.tunings
            )
            head.write(self.head_file(collection))
            write_index(self.index_file(collection), index, IndexHeader(digest, side, today.revision, chosen.seed))
            return head, index

    def encoded(self, collection: str, digest: str, progress: Progress | None) -> tuple[Labels, Floats, int]:
        """All active items, their embeddings (n, d) and their side; those that have none yet are encoded.

        Raises:
            DataError: the collection is not imported.
        """
        try:
            found = self.active_embeddings(collection, digest)
            with self.catalogue(collection) as catalogue:
                if len(found[0]) == len(catalogue.active()):
                    return found
        except (MissingIndexError, DamagedIndexError, EncoderMismatchError):
            pass  # there is nothing to be had without a pass of the network
        self.embed(collection, Encoder(self.encoder_folder), progress)
        return self.active_embeddings(collection, digest)

    def is_indexed(self, collection: str) -> bool:
        """Whether head and index are there, fit the encoder, and the index holds every active item."""
        try:
            digest = EncoderCard.read(self.encoder_folder / "encoder.json").digest
            index, _ = read_index(self.index_file(collection), digest)
            fits = Head.read(self.head_file(collection)).encoder_digest == digest
        except (IndexFileError, HeadError):
            return False
        with self.catalogue(collection) as catalogue:
            ids = catalogue.active().ids
        return fits and len(index.known(ids)) == len(ids)

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
        pictures = self.store(collection) if self.has_files(collection) else ArrayPictures(self.pictures(collection))
        return Collection(collection, self.catalogue(collection), pictures, searcher, header.revision)
