"""The paper's experiments one after the other, on what this workspace serves; what each found is kept.

data/reproduction/<step>.json        what a step found, and what it was measured on: such a step is not run again
docs/reproduction.json               all of it: the keys that `paper.beside_us` reads, and everything else
docs/reproduction.md                 the same for reading
data/reproduction/quick/             all of these of a quick run, which leaves docs/ alone
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import numpy as np
from PIL import Image
from threadpoolctl import threadpool_limits

from experiments.kept_results import Kept, kept, plain
from experiments.machine import computer, facts, load
from experiments.paper import page as reproduction_report
from experiments.paper import sift as sift_experiment
from experiments.paper.histories import histories
from experiments.paper.precision import (
    ClassificationPrecision,
    Pictures,
    classification_precision,
    found_again,
    precision_by_size,
    wrong_categories,
)
from experiments.paper.report import Report, Sizes, Step, WrongCategories
from experiments.paper.searches import Gallery, ask, figures
from experiments.paper.sift import Sift
from experiments.synthetic import SyntheticItems, measured_changes
from fashion16.collections.embeddings import labelled_embeddings
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from fashion16.errors import DataError, TrainingError
from fashion16.evaluation import metrics
from fashion16.evaluation import report as quality
from fashion16.evaluation.reproduction import Searches, SizePoint
from fashion16.files.atomic import replacing
from fashion16.images import distort
from fashion16.search.encoder import encode_all
from fashion16.training import category_training
from fashion16.training.data import labelled_pictures
from fashion16.training.run_settings import CategorySettings
from fashion16.types import Floats, Progress

VERSION = 1  # of the experiments: what another version found is measured again
SEED = metrics.SEED
T = TypeVar("T")


SIZES = tuple(range(10_000, 60_001, 10_000))
FULL = Sizes(SIZES, (16, 17, 18), 2000, 1000, (325_820, 3_258_200), 2000, 100_000, 2000)
QUICK = Sizes((10_000, 50_000), (16, 17, 18), 200, 200, (), 0, 500, 200)


def reproduce(
    workspace: Workspace,
    collection: str = DEFAULT_COLLECTION,
    quick: bool = False,
    train: bool = False,
    step: Callable[[str], None] | None = None,
    progress: Progress | None = None,
) -> Report:
    """Run the paper's experiments that have not been run on the same, and write what they found.

    Args:
        quick: on small samples, at the collection's own size alone.
        train: train the category network for 20 epochs first, unless that was done for the same labels; else the
            histories are those of the runs that are there.
        step: called with the name of each step as it begins.
        progress: called with what is done of the present step, and with its total.

    Raises:
        Fashion16Error: something that is measured is missing or does not fit.
    """
    if workspace.collection(collection).has_files():
        raise DataError(
            f"The paper's experiments are for gray pictures of one size; “{collection}” has photos. "
            f"Run them on {DEFAULT_COLLECTION}."
        )
    workspace.collection(collection).pictures()
    opened = workspace.open(collection)
    try:
        work = _Work(workspace, opened, QUICK if quick else FULL, quick, step or (lambda name: None), progress)
        # numbers as the file has them
        report = msgspec.convert(plain(work.report(train)), Report)
    finally:
        opened.close()
    file, page = result_files(workspace, quick)
    with replacing(file) as beside:
        beside.write_text(json.dumps(asdict(report), indent=1) + "\n", encoding="utf-8")
    with replacing(page) as beside:
        beside.write_text(reproduction_report.page(report), encoding="utf-8")
    return report


def result_files(workspace: Workspace, quick: bool = False) -> tuple[Path, Path]:
    """Where the figures and the page of a run are written."""
    if quick:
        folder = workspace.reproduction_folder / "quick"
        return folder / workspace.reproduction_file.name, folder / workspace.reproduction_page.name
    return workspace.reproduction_file, workspace.reproduction_page


@dataclass(frozen=True)
class _Work:
    workspace: Workspace
    opened: Collection
    sizes: Sizes
    quick: bool
    say: Callable[[str], None]
    progress: Progress | None

    def report(self, train: bool) -> Report:
        self.say("opening the collection")
        if not len(self.test) or not len(self.gallery):
            raise DataError(
                f"“{self.opened.name}” has no labelled pictures in its test split, or none in the others, so nothing "
                "can be measured."
            )
        sizes = self.sizes
        found: dict[str, Kept[Any]] = {}
        trained = None
        if train:
            settings = {"settings": asdict(CategorySettings())}
            found["training"] = training = self._step("training", settings, self._train, dict[str, str])
            trained = training.result["run"]
        found["classification"] = classification = self._step(
            "classification", {}, self._classification, ClassificationPrecision
        )
        key = {"galleries": sizes.galleries, "seeds": sizes.seeds, "queries": sizes.queries}
        found["sizes"] = by_size = self._step("sizes", key, self._sizes, list[SizePoint])
        searches = []
        for n in (len(self.items), *sizes.synthetic):
            key = {"timed": sizes.timed, "n": n, "changes": sizes.changes, "computer": asdict(computer())}
            found[f"searches-{n}"] = searched = self._step(f"searches-{n}", key, partial(self._searches, n), Searches)
            searches.append(searched.result)
        key = {"asked": sizes.asked, "copies": sizes.copies}
        found["wrong-categories"] = wrong = self._step("wrong-categories", key, self._wrong_categories, WrongCategories)
        try:
            key = {"quick": self.quick, "sift_version": sift_experiment.VERSION}
            measured = self._step("sift", key, self._sift, Sift)
            found["sift"], sift = measured, measured.result
        except TrainingError as error:  # without OpenCV all else can be measured
            sift = Sift(missing=str(error))
        return Report(
            quick=self.quick,
            measured_at=max(kept.measured_at for kept in found.values()),
            written_at=datetime.now(UTC).isoformat(timespec="seconds"),
            collection=self.opened.name,
            items=len(self.items),
            test_pictures=len(self.test),
            encoder_digest=self.opened.searcher.encoder.digest,
            label_revision=self.opened.catalogue.revision(),
            embeddings_from=self._embeddings_from,
            machine=facts(),
            sizes=sizes,
            seed=SEED,
            steps={name: Step(kept.seconds, kept.measured_at) for name, kept in found.items()},
            training=histories(self.workspace.runs_folder, trained),
            classification=classification.result,
            retrieval_by_size=by_size.result,
            searches=searches,
            seconds_in_category=searches[0].in_category.seconds,
            seconds_direct=searches[0].direct.seconds,
            wrong_categories=wrong.result,
            sift=sift,
            sift_precision=None if sift.missing else sift.best.accuracy,
        )

    @cached_property
    def items(self) -> Pictures:
        return self._labelled[0]

    @cached_property
    def test(self) -> Pictures:
        return self.items.of(self._labelled[1] == "test")

    @cached_property
    def gallery(self) -> Pictures:
        return self.items.of(self._labelled[1] != "test")

    @cached_property
    def _labelled(self) -> tuple[Pictures, Any]:
        today, embeddings, _ = labelled_embeddings(
            self.workspace.collection(self.opened.name), self.opened.searcher.encoder.digest
        )
        return Pictures(today.ids, embeddings, today.labels), today.splits

    @property
    def _embeddings_from(self) -> str:
        file = self.workspace.collection(self.opened.name).embeddings_file(
            self.opened.searcher.encoder.digest, self.opened.searcher.side
        )
        return "float32" if file.is_file() else "the index, 16 bits a value"

    @cached_property
    def _measured_on(self) -> dict[str, object]:
        """What every step is measured on."""
        searcher = self.opened.searcher
        head = hashlib.sha256(searcher.head.weights.tobytes() + searcher.head.bias.tobytes())
        ids = hashlib.sha256(self.items.ids.tobytes() + "\n".join(self.items.labels).encode())
        return {
            "version": VERSION,
            "seed": SEED,
            "encoder_digest": searcher.encoder.digest,
            "head": head.hexdigest(),
            "index": asdict(quality.index_facts(searcher.index)),
            "items": ids.hexdigest(),
            "splits": hashlib.sha256("\n".join(self._labelled[1]).encode()).hexdigest(),
            "embeddings_from": self._embeddings_from,
        }

    @property
    def _folder(self) -> Path:
        return self.workspace.reproduction_folder / ("quick" if self.quick else "")

    def _step(self, name: str, key: dict[str, Any], make: Callable[[], T], kind: type[T]) -> Kept[T]:
        return kept(self._folder / f"{name}.json", self._measured_on | key, make, kind)

    def _train(self) -> dict[str, str]:
        self.say("training the category network")
        settings = CategorySettings()
        data = labelled_pictures(self.workspace.collection(self.opened.name))

        def report(epoch: int, share: float, figures: dict[str, float]) -> None:
            if self.progress:
                self.progress(round(1000 * (epoch + share)), 1000 * settings.epochs)

        return {
            "run": category_training.train_category_cnn(data, self.workspace.runs_folder, settings, report=report).name
        }

    def _classification(self) -> ClassificationPrecision:
        self.say("classification")
        return classification_precision(self.opened.searcher.head, self.test)

    def _sizes(self) -> list[SizePoint]:
        self.say("precision by size")
        sizes = self.sizes
        with _one_thread():
            return precision_by_size(
                self.gallery, self.test, sizes.galleries, sizes.seeds, sizes.queries, self.progress
            )

    def _searches(self, n: int) -> Searches:
        searcher, own = self.opened.searcher, None
        queries = self.test.some(self.sizes.timed)
        before = load()
        if n == len(self.items):
            gallery, own = Gallery.real(searcher.index, self.items), queries.ids
        else:
            changes = self._changes
            self.say(f"{n:,} synthetic items")
            real = self.gallery  # without the test pictures: no query finds copies of itself
            with _one_thread():
                items = SyntheticItems(real.embeddings, real.labels, changes, n, SEED)
                gallery = Gallery.synthetic(items, self.progress)
            searcher = replace(searcher, index=gallery.index)
        self.say(f"searching {n:,} items")
        photos = [_png(self.opened.picture(int(item_id))) for item_id in queries.ids]
        asked = ask(searcher, photos, own, self.progress)
        self.say(f"comparing all {n:,} items")
        with _one_thread():
            found = figures(asked, gallery, queries.labels, own, self.progress)
        return replace(found, synthetic=own is None, load_before=before)

    @cached_property
    def _changes(self) -> Floats:
        self.say("measuring distortions")
        searcher, real = self.opened.searcher, self.gallery.some(self.sizes.changes)
        pictures = [self.opened.picture(int(item_id)) for item_id in real.ids]
        return measured_changes(searcher.encoder, pictures, len(pictures), SEED, searcher.side, self.progress)

    def _wrong_categories(self) -> WrongCategories:
        searcher = self.opened.searcher
        self.say("results of wrong categories")
        queries = self.test.some(self.sizes.asked)
        with _one_thread():
            found = wrong_categories(searcher.head, searcher.index, self.items, queries, self.progress)
        self.say("distorted copies")
        originals = self.test.some(self.sizes.copies)
        rng = np.random.default_rng(SEED)
        pictures = (distort(self.opened.picture(int(item_id)), rng) for item_id in originals.ids)
        copies = encode_all(searcher.encoder, metrics.counted(pictures, len(originals), self.progress), searcher.side)
        again = found_again(searcher.head, searcher.index, copies, originals)
        return WrongCategories(**vars(found), found_again=again)

    def _sift(self) -> Sift:
        self.say("SIFT and HOG")
        collection, folder = self.opened.name, self._folder
        return sift_experiment.run(self.workspace, collection, folder, self.quick, self.progress)


def _one_thread() -> Any:
    """A block in which numpy's products take one thread: where two share busy cores, they wait for each other."""
    return threadpool_limits(limits=1, user_api="blas")


def _png(pixels: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
