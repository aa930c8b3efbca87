"""One evaluation of a collection: every figure of `evaluation.py`, written where the pages find it.

models/<collection>/evaluation.json       the figures, and what they were measured on
models/<collection>/predictions.parquet   id, label, predicted and confidence of each test picture
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from fashion16.collections.embeddings import labelled_embeddings
from fashion16.collections.opened import Collection
from fashion16.collections.stored import StoredCollection
from fashion16.errors import DataError
from fashion16.estimate import Figure
from fashion16.evaluation import metrics, speed
from fashion16.evaluation.metrics import Ids
from fashion16.evaluation.photos import measure_photos
from fashion16.files.atomic import replacing
from fashion16.files.digest import sha256_of
from fashion16.search.encoder import encode_all
from fashion16.search.index import CategoryIndex
from fashion16.sources.clothing import ClothingArchive
from fashion16.types import Progress

# pictures each figure is measured on: all, and for a quick look
FULL = {"test": 100_000, "retrieval": 2_000, "instances": 1_000, "recall": 500, "speed": 200}
QUICK = {"test": 1_000, "retrieval": 300, "instances": 200, "recall": 100, "speed": 50}
BITS = (64, 128, 256, 512)
PROBES: tuple[int | None, ...] = (1, 4, 16, 64, 128, None)  # None is what a search does by itself
# without these the file is no evaluation
PARTS = {
    "measured_at": str,
    "encoder_digest": str,
    "label_revision": int,
    "categories": list,
    "classification": dict,
    "retrieval": dict,
    "instances": dict,
    "index": list,
    "few_labels": list,
}


def evaluate(
    stored: StoredCollection,
    quick: bool = False,
    archive: ClothingArchive | None = None,
    step: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure the collection as it is served, and write evaluation.json and predictions.parquet beside its head.

    Args:
        quick: on small samples; nothing is written, so that the files keep what a full run found.
        archive: photos to measure the encoder and this collection's head on too.
        step: called with the name of each step as it begins.
        progress: called with what is done of the present step, and with its total.

    Raises:
        Fashion16Error: something that a search needs is missing or does not fit.
    """
    say = step or (lambda name: None)
    sizes = QUICK if quick else FULL
    head_digest = sha256_of(stored.head_file)
    opened = Collection.open(stored)
    searcher = opened.searcher
    today = opened.catalogue.labels()
    rng = np.random.default_rng(metrics.SEED)
    test = np.flatnonzero(today.splits == "test")
    test = np.sort(rng.choice(test, min(sizes["test"], len(test)), replace=False))

    if not len(test):
        raise DataError(f"“{stored.name}” has no labelled pictures in its test split, so nothing can be measured.")
    say("encoding the test pictures")
    pictures = stored.rows()
    given = metrics.counted((pictures[int(row)] for row in today.rows[test]), len(test), progress)
    embeddings = encode_all(searcher.encoder, given, searcher.side)
    say("categories")
    probabilities = searcher.head.probabilities(embeddings)
    categories = searcher.head.categories
    report: dict[str, Any] = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "encoder_digest": searcher.encoder.digest,
        "head_digest": head_digest,
        "label_revision": today.revision,
        "items": opened.catalogue.count(),
        "index_facts": index_facts(searcher.index),
        "split": "test",
        "categories": list(categories),
        "classification": metrics.classification(probabilities, today.labels[test], categories),
    }
    predicted = metrics.predictions(probabilities, today.ids[test], today.labels[test], categories)
    say("retrieval by label")
    some = rng.choice(len(test), min(sizes["retrieval"], len(test)), replace=False)
    label_of = {int(item_id): str(label) for item_id, label in zip(today.ids, today.labels, strict=True)}
    report["retrieval"] = metrics.label_retrieval(searcher, today.ids[test][some], embeddings[some], label_of, progress)
    say("distorted copies")
    some = rng.choice(len(test), min(sizes["instances"], len(test)), replace=False)
    report["instances"] = metrics.instance_retrieval(searcher, today.ids[test][some], opened.picture, progress)
    say("index against exact search")
    known, encoded, _ = labelled_embeddings(stored, searcher.encoder.digest)
    queries = rng.choice(known.ids, min(sizes["recall"], len(known.ids)), replace=False)
    exact = (queries, known.ids, encoded, known.labels)
    report["index"] = metrics.index_recall(searcher.index, *exact, PROBES, progress)
    for n_bits in sorted({*BITS} - {searcher.index.hyperplanes.n_bits}):
        say(f"codes of {n_bits} bits")
        other = CategoryIndex.build(encoded, known.ids, known.labels, n_bits)
        report["index"] += metrics.index_recall(other, *exact, [None], progress)
    say("few labels")
    train = known.splits == "train"
    report["few_labels"] = metrics.small_data(
        encoded[train], known.labels[train], embeddings, today.labels[test], searcher.encoder.digest
    )
    say("speed")
    some = rng.choice(len(test), min(sizes["speed"], len(test)), replace=False)
    report["speed"] = speed.measure(searcher, today.ids[test][some], opened.picture, progress)
    if archive is None:
        photos = _earlier_photos(stored, report)
    else:
        side = stored.card.side
        photos = measure_photos(searcher.encoder, side, searcher.head, archive, quick, say)
    if photos:
        report["photos"] = photos
    opened.close()
    if not quick:
        with replacing(stored.predictions_file) as partial:
            predicted.to_parquet(partial, index=False)
        # so that figures and predictions of two evaluations are never taken for one
        report["predictions_digest"] = sha256_of(stored.predictions_file)
    plain: dict[str, Any] = json.loads(json.dumps(report, default=_as_json))
    if not quick:
        with replacing(stored.evaluation_file) as partial:
            partial.write_text(json.dumps(plain, indent=1) + "\n")
    return plain


def kept(stored: StoredCollection) -> dict[str, Any] | None:
    """What the last full evaluation of the collection found; None where there is none, or the file is damaged."""
    try:
        report = json.loads(stored.evaluation_file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(report, dict) or not all(isinstance(report.get(key), kind) for key, kind in PARTS.items()):
        return None
    return report


def predictions(stored: StoredCollection) -> pd.DataFrame | None:
    """The predictions that the kept figures were counted from: id, label, predicted, confidence; a row a test picture.

    None where there are none, or those of another evaluation. `confused` picks from them.
    """
    report, path = kept(stored), stored.predictions_file
    if report is None or not path.is_file() or sha256_of(path) != report.get("predictions_digest"):
        return None
    return pd.read_parquet(path)


def confused(predicted: pd.DataFrame, label: str, category: str) -> Ids:
    """The ids (n,) of pictures with a label that were taken for a category, the most confident first.

    Args:
        predicted: as `predictions` returns it.
    """
    found = predicted[(predicted["label"] == label) & (predicted["predicted"] == category)]
    ids: Ids = found.sort_values("confidence", ascending=False, kind="stable")["id"].to_numpy(np.int64)
    return ids


def index_facts(index: CategoryIndex) -> dict[str, Any]:
    """What an index is known by again: its hyperplanes, and the settings of each category."""
    planes = index.hyperplanes
    return {
        "n_bits": planes.n_bits,
        "hyperplanes": hashlib.sha256(planes.planes.tobytes() + planes.mean.tobytes()).hexdigest(),
        "key_bits": {name: partition.key_bits for name, partition in sorted(index.partitions.items())},
        "n_probes": {name: index.tuning(name).n_probes for name in sorted(index.partitions)},
    }


def freshness(opened: Collection, report: dict[str, Any]) -> list[str]:
    """What has changed since a report was measured, a sentence each; none when it would be the same today."""
    news = []
    if report.get("encoder_digest") != opened.searcher.encoder.digest:
        news.append("These figures were measured with another encoder.")
    if "head_digest" not in report or not isinstance(report.get("index_facts"), dict):
        news.append("These figures were measured by an older version of Fashion-16, which measured less.")
    else:
        if report["head_digest"] != sha256_of(opened.stored.head_file):
            news.append("The classifier has been refitted since.")
        news += _index_news(report["index_facts"], index_facts(opened.searcher.index))
    revision = report.get("label_revision")
    if not isinstance(revision, int) or opened.catalogue.revision() < revision:
        news.append("The catalogue has been recreated since.")
    elif n := opened.catalogue.n_corrections_since(revision):
        news.append(f"{n:,} {'decision was' if n == 1 else 'decisions were'} made since these figures.")
    if isinstance(report.get("items"), int) and (more := opened.catalogue.count() - report["items"]):
        news.append(
            f"{abs(more):,} {'picture was' if abs(more) == 1 else 'pictures were'} "
            f"{'added' if more > 0 else 'removed'} since."
        )
    return news


def _index_news(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    if any(then.get(key) != now[key] for key in ("n_bits", "hyperplanes")):
        return ["The index has been rebuilt since, with other hyperplanes."]
    # a category that came or went is a decision's doing, and counted there
    for key in ("key_bits", "n_probes"):
        before = then.get(key)
        if not isinstance(before, dict) or any(before.get(name, value) != value for name, value in now[key].items()):
            return ["The index was tuned since."]
    return []


def _earlier_photos(stored: StoredCollection, report: dict[str, Any]) -> dict[str, Any] | None:
    """What an earlier evaluation found on photos, where it still holds: they are not always at hand."""
    earlier = kept(stored)
    if earlier is None:
        return None
    same = all(earlier[key] == report[key] for key in ("encoder_digest", "label_revision"))
    # evaluations of older versions don't name their head; it is made of the labels of a revision
    same = same and earlier.get("head_digest", report["head_digest"]) == report["head_digest"]
    found = earlier.get("photos")
    return found if same and isinstance(found, dict) else None


def _as_json(value: object) -> object:
    if isinstance(value, Figure):
        return {key: round(part, 4) for key, part in asdict(value).items()}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"{type(value)} has no place in a report")
