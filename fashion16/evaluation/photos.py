"""How good the encoder is on photos: their own categories, another data set's head, and photos found again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fashion16.evaluation import metrics
from fashion16.evaluation.figures import PhotoFigures
from fashion16.images import read_photo
from fashion16.search.encoder import EncodesPictures, encode_all
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.searcher import Searcher
from fashion16.sources.clothing import ClothingArchive

QUERIES, QUICK_QUERIES = 1_000, 100
NO_LABEL = "no label"


def measure_photos(
    encoder: EncodesPictures,
    side: int,
    head: Head,
    archive: ClothingArchive,
    quick: bool,
    say: Callable[[str], None],
) -> PhotoFigures:
    """Measure on the archive's photos what a collection of photos could expect of this encoder.

    The ten-class subset is measured on its published validation split, with a head fitted on its training split;
    `head`, the head of another collection, on all validation photos that have a counterpart in it. Copies are made
    of photos outside the training split, and must find their originals among all photos.

    Args:
        side: pixels a side that photos are served at.
        quick: only every tenth training photo, and a hundred copies.
    """
    rng = np.random.default_rng(metrics.SEED)
    photos = [photo for at, photo in enumerate(archive.photos) if not (quick and photo.split == "train" and at % 10)]
    say("encoding the photos")
    embeddings = encode_all(encoder, (read_photo(archive.read(photo)) for photo in photos), side)
    labels = np.array([photo.label or NO_LABEL for photo in photos])
    splits = np.array([photo.split for photo in photos])
    in_subset = np.array([photo.in_subset for photo in photos])
    known = labels != NO_LABEL

    say("photos: categories")
    learnt, check = in_subset & (splits == "train"), in_subset & (splits == "validation")
    ten_classes = None
    if learnt.any() and check.any():
        ten = Head.fit(embeddings[learnt], labels[learnt], encoder.digest, 0)
        ten_classes = metrics.classification(ten.probabilities(embeddings[check]), labels[check], ten.categories)
    held_back = known & (splits == "validation")
    counterparts = metrics.counterparts(head, embeddings[held_back], labels[held_back])

    say("photos: distorted copies")
    learnt = known & (splits == "train")
    everything = Head.fit(embeddings[learnt], labels[learnt], encoder.digest, 0)
    ids = np.arange(len(photos), dtype=np.int64)
    searcher = Searcher(encoder, everything, CategoryIndex.build(embeddings, ids, labels), side)
    strangers = np.flatnonzero(known & (splits != "train"))
    queries = rng.choice(strangers, min(QUICK_QUERIES if quick else QUERIES, len(strangers)), replace=False)
    instances = metrics.instance_retrieval(searcher, queries, lambda item_id: read_photo(archive.read(photos[item_id])))
    say("photos: retrieval by label")
    label_of = dict(enumerate(labels.tolist()))
    return PhotoFigures(
        photos=len(photos),
        ten_classes=ten_classes,
        counterparts=counterparts,
        instances=instances,
        retrieval=metrics.label_retrieval(searcher, queries, embeddings[queries], label_of),
    )
