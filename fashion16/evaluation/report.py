"""One evaluation of a collection: every figure of `evaluation.py`, written where the pages find it.

models/<collection>/evaluation.json       the figures, and what they were measured on
models/<collection>/predictions.parquet   id, label, predicted and confidence of each test picture
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime

import msgspec
import numpy as np
import pandas as pd

from fashion16.collections.embeddings import labelled_embeddings
from fashion16.collections.opened import Collection
from fashion16.collections.stored import StoredCollection
from fashion16.errors import DataError
from fashion16.estimate import rounded
from fashion16.evaluation import metrics, speed
from fashion16.evaluation.figures import Evaluation, IndexFacts, PhotoFigures
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


def evaluate(
    stored: StoredCollection,
    quick: bool = False,
    archive: ClothingArchive | None = None,
    step: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Evaluation:
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
    classification = metrics.classification(probabilities, today.labels[test], categories)
    predicted = metrics.predictions(probabilities, today.ids[test], today.labels[test], categories)
    say("retrieval by label")
    some = rng.choice(len(test), min(sizes["retrieval"], len(test)), replace=False)
    label_of = {int(item_id): str(label) for item_id, label in zip(today.ids, today.labels, strict=True)}
    retrieval = metrics.label_retrieval(searcher, today.ids[test][some], embeddings[some], label_of, progress)
    say("distorted copies")
    some = rng.choice(len(test), min(sizes["instances"], len(test)), replace=False)
    instances = metrics.instance_retrieval(searcher, today.ids[test][some], opened.picture, progress)
    say("index against exact search")
    known, encoded, _ = labelled_embeddings(stored, searcher.encoder.digest)
    queries = rng.choice(known.ids, min(sizes["recall"], len(known.ids)), replace=False)
    exact = (queries, known.ids, encoded, known.labels)
    recalls = metrics.index_recall(searcher.index, *exact, PROBES, progress)
    for n_bits in sorted({*BITS} - {searcher.index.hyperplanes.n_bits}):
        say(f"codes of {n_bits} bits")
        other = CategoryIndex.build(encoded, known.ids, known.labels, n_bits)
        recalls += metrics.index_recall(other, *exact, [None], progress)
    say("few labels")
    train = known.splits == "train"
    few_labels = metrics.small_data(
        encoded[train], known.labels[train], embeddings, today.labels[test], searcher.encoder.digest
    )
    say("speed")
    some = rng.choice(len(test), min(sizes["speed"], len(test)), replace=False)
    report = Evaluation(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        encoder_digest=searcher.encoder.digest,
        head_digest=head_digest,
        label_revision=today.revision,
        items=opened.catalogue.count(),
        index_facts=index_facts(searcher.index),
        categories=list(categories),
        classification=classification,
        retrieval=retrieval,
        instances=instances,
        index=recalls,
        few_labels=few_labels,
        speed=speed.measure(searcher, today.ids[test][some], opened.picture, progress),
    )
    if archive is None:
        photos = _earlier_photos(stored, report)
    else:
        photos = measure_photos(searcher.encoder, stored.card.side, searcher.head, archive, quick, say)
    opened.close()
    report = rounded(replace(report, photos=photos))
    if not quick:
        with replacing(stored.predictions_file) as partial:
            predicted.to_parquet(partial, index=False)
        # so that figures and predictions of two evaluations are never taken for one
        report = replace(report, predictions_digest=sha256_of(stored.predictions_file))
        with replacing(stored.evaluation_file) as partial:
            partial.write_text(json.dumps(asdict(report), indent=1) + "\n")
    return report


def kept(stored: StoredCollection) -> Evaluation | None:
    """What the last full evaluation of the collection found; None where there is none, or the file is damaged."""
    try:
        return msgspec.json.decode(stored.evaluation_file.read_bytes(), type=Evaluation)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return None


def predictions(stored: StoredCollection) -> pd.DataFrame | None:
    """The predictions that the kept figures were counted from: id, label, predicted, confidence; a row a test picture.

    None where there are none, or those of another evaluation. `confused` picks from them.
    """
    report, path = kept(stored), stored.predictions_file
    if report is None or not path.is_file() or sha256_of(path) != report.predictions_digest:
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


def index_facts(index: CategoryIndex) -> IndexFacts:
    """What an index is known by again: its hyperplanes, and the settings of each category."""
    planes = index.hyperplanes
    return IndexFacts(
        n_bits=planes.n_bits,
        hyperplanes=hashlib.sha256(planes.planes.tobytes() + planes.mean.tobytes()).hexdigest(),
        key_bits={name: partition.key_bits for name, partition in sorted(index.partitions.items())},
        n_probes={name: index.tuning(name).n_probes for name in sorted(index.partitions)},
    )


def freshness(opened: Collection, report: Evaluation) -> list[str]:
    """What has changed since a report was measured, a sentence each; none when it would be the same today."""
    news = []
    if report.encoder_digest != opened.searcher.encoder.digest:
        news.append("These figures were measured with another encoder.")
    if report.head_digest is None or report.index_facts is None:
        news.append("These figures were measured by an older version of Fashion-16, which measured less.")
    else:
        if report.head_digest != sha256_of(opened.stored.head_file):
            news.append("The classifier has been refitted since.")
        news += _index_news(report.index_facts, index_facts(opened.searcher.index))
    if opened.catalogue.revision() < report.label_revision:
        news.append("The catalogue has been recreated since.")
    elif n := opened.catalogue.n_corrections_since(report.label_revision):
        news.append(f"{n:,} {'decision was' if n == 1 else 'decisions were'} made since these figures.")
    if report.items is not None and (more := opened.catalogue.count() - report.items):
        news.append(
            f"{abs(more):,} {'picture was' if abs(more) == 1 else 'pictures were'} "
            f"{'added' if more > 0 else 'removed'} since."
        )
    return news


def _index_news(then: IndexFacts, now: IndexFacts) -> list[str]:
    if (then.n_bits, then.hyperplanes) != (now.n_bits, now.hyperplanes):
        return ["The index has been rebuilt since, with other hyperplanes."]
    # a category that came or went is a decision's doing, and counted there
    if any(then.key_bits.get(name, bits) != bits for name, bits in now.key_bits.items()):
        return ["The index was tuned since."]
    if any(then.n_probes.get(name, probes) != probes for name, probes in now.n_probes.items()):
        return ["The index was tuned since."]
    return []


def _earlier_photos(stored: StoredCollection, report: Evaluation) -> PhotoFigures | None:
    """What an earlier evaluation found on photos, where it still holds: they are not always at hand."""
    earlier = kept(stored)
    if earlier is None:
        return None
    same = (earlier.encoder_digest, earlier.label_revision) == (report.encoder_digest, report.label_revision)
    # evaluations of older versions don't name their head; it is made of the labels of a revision
    same = same and earlier.head_digest in (None, report.head_digest)
    return earlier.photos if same else None
