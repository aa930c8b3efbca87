"""One evaluation of a collection: every figure of `evaluation.py`, written where the pages find it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np

from fashion16 import evaluation
from fashion16.atomic import replacing
from fashion16.clothing import ClothingArchive
from fashion16.encoder import EncoderCard, encode_all
from fashion16.errors import DataError
from fashion16.evaluation import Figure
from fashion16.index import CategoryIndex
from fashion16.photo_quality import measure_photos
from fashion16.workspace import Workspace

# pictures each figure is measured on: all, and for a quick look
FULL = {"test": 100_000, "retrieval": 2_000, "instances": 1_000, "recall": 500}
QUICK = {"test": 1_000, "retrieval": 300, "instances": 200, "recall": 100}
BITS = (64, 128, 256, 512)
PROBES: tuple[int | None, ...] = (1, 4, 16, 64, 128, None)  # None is what a search does by itself


def evaluate(
    workspace: Workspace,
    collection: str,
    quick: bool = False,
    archive: ClothingArchive | None = None,
    step: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Measure the collection as it is served, and write evaluation.json beside its head.

    Args:
        quick: on small samples; the file is not written, so that it keeps the figures of a full run.
        archive: photos to measure the encoder and this collection's head on too.
        step: called with the name of each step as it begins.

    Raises:
        Fashion16Error: something that a search needs is missing or does not fit.
    """
    say = step or (lambda name: None)
    sizes = QUICK if quick else FULL
    opened = workspace.open(collection)
    searcher = opened.searcher
    today = opened.catalogue.labels()
    rng = np.random.default_rng(evaluation.SEED)
    test = np.flatnonzero(today.splits == "test")
    test = np.sort(rng.choice(test, min(sizes["test"], len(test)), replace=False))

    if not len(test):
        raise DataError(f"“{collection}” has no labelled pictures in its test split, so nothing can be measured.")
    say("encoding the test pictures")
    pictures = workspace.rows(collection)
    embeddings = encode_all(searcher.encoder, (pictures[int(row)] for row in today.rows[test]), searcher.side)
    say("categories")
    report: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "encoder_digest": searcher.encoder.digest,
        "label_revision": today.revision,
        "split": "test",
        "categories": list(searcher.head.categories),
        "classification": evaluation.classification(
            searcher.head.probabilities(embeddings), today.labels[test], searcher.head.categories
        ),
    }
    say("retrieval by label")
    some = rng.choice(len(test), min(sizes["retrieval"], len(test)), replace=False)
    label_of = {int(item_id): str(label) for item_id, label in zip(today.ids, today.labels, strict=True)}
    report["retrieval"] = evaluation.label_retrieval(searcher, today.ids[test][some], embeddings[some], label_of)
    say("distorted copies")
    some = rng.choice(len(test), min(sizes["instances"], len(test)), replace=False)
    report["instances"] = evaluation.instance_retrieval(searcher, today.ids[test][some], opened.picture)
    say("index against exact search")
    known, stored, _ = workspace.labelled_embeddings(collection, searcher.encoder.digest)
    queries = rng.choice(known.ids, min(sizes["recall"], len(known.ids)), replace=False)
    exact = (queries, known.ids, stored, known.labels)
    report["index"] = evaluation.index_recall(searcher.index, *exact, PROBES)
    for n_bits in sorted({*BITS} - {searcher.index.hyperplanes.n_bits}):
        other = CategoryIndex.build(stored, known.ids, known.labels, n_bits)
        report["index"] += evaluation.index_recall(other, *exact, [None])
    say("few labels")
    train = known.splits == "train"
    report["few_labels"] = evaluation.small_data(
        stored[train], known.labels[train], embeddings, today.labels[test], searcher.encoder.digest
    )
    if archive is None:
        photos = _earlier_photos(workspace, collection, report)
    else:
        side = EncoderCard.read(workspace.encoder_folder / "encoder.json").side
        photos = measure_photos(searcher.encoder, side, searcher.head, archive, quick, say)
    if photos:
        report["photos"] = photos
    opened.close()
    plain: dict[str, Any] = json.loads(json.dumps(report, default=_as_json))
    if not quick:
        with replacing(workspace.evaluation_file(collection)) as partial:
            partial.write_text(json.dumps(plain, indent=1) + "\n")
    return plain


def _earlier_photos(workspace: Workspace, collection: str, report: dict[str, Any]) -> dict[str, Any] | None:
    """What an earlier evaluation found on photos, where it still holds: they are not always at hand."""
    try:
        earlier = json.loads(workspace.evaluation_file(collection).read_text())
        same = all(earlier[key] == report[key] for key in ("encoder_digest", "label_revision"))
        found: dict[str, Any] = earlier["photos"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if same else None


def _as_json(value: object) -> object:
    if isinstance(value, Figure):
        return {key: round(part, 4) for key, part in asdict(value).items()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value)} has no place in a report")
