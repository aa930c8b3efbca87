"""What an evaluation leaves for the pages: its figures, its predictions, and whether they still hold."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from fashion16.catalogue.rows import Change
from fashion16.collections.embeddings import labelled_embeddings
from fashion16.collections.indexing import build_index
from fashion16.collections.workspace import Workspace
from fashion16.evaluation import report as quality
from fashion16.evaluation import speed
from fashion16.evaluation.figures import Evaluation, IndexFacts, StepTime
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import read_index, write_index
from fashion16.search.partition import Tuning
from fashion16.search.searcher import Answer, Classified
from tests.conftest import REPOSITORY
from tests.evaluations import FEW, publish_tests

NAME = "fashion-mnist"
NEW_KEYS = ("head_digest", "index_facts", "items", "speed", "predictions_digest")


@pytest.fixture(scope="module")
def evaluated_once(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small workspace after a full evaluation."""
    made = Workspace(shutil.copytree(small_template, tmp_path_factory.mktemp("evaluated") / "home", symlinks=True))
    publish_tests(made)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "FULL", FEW)
        quality.evaluate(made.collection(NAME))
    return made.root


@pytest.fixture
def evaluated(evaluated_once: Path, tmp_path: Path) -> Workspace:
    """The same, to be changed and damaged."""
    return Workspace(shutil.copytree(evaluated_once, tmp_path / "home", symlinks=True))


def report_of(workspace: Workspace) -> Evaluation:
    report = quality.kept(workspace.collection(NAME))
    assert report is not None
    return report


def news(workspace: Workspace, report: Evaluation | None = None) -> list[str]:
    opened = workspace.open(NAME)
    try:
        return quality.freshness(opened, report or report_of(workspace))
    finally:
        opened.close()


def test_the_confusion_matrix_is_counted_from_the_predictions(evaluated: Workspace) -> None:
    report, predicted = report_of(evaluated), quality.predictions(evaluated.collection(NAME))
    assert predicted is not None
    assert list(predicted) == ["id", "label", "predicted", "confidence"]
    names = report.categories
    counted = pd.crosstab(predicted["label"], predicted["predicted"]).reindex(index=names, columns=names, fill_value=0)
    assert report.classification.confusion == counted.to_numpy().tolist()
    hits = (predicted["label"] == predicted["predicted"]).mean()
    assert report.classification.accuracy.value == pytest.approx(hits, abs=1e-4)
    with evaluated.collection(NAME).catalogue() as catalogue:
        items = catalogue.items(predicted["id"].tolist())
    assert [item.label for item in items] == predicted["label"].tolist()
    assert {item.split for item in items} == {"test"}
    assert predicted["confidence"].between(0.1, 1).all()


def test_each_cell_of_the_matrix_finds_its_pictures(evaluated: Workspace) -> None:
    report, predicted = report_of(evaluated), quality.predictions(evaluated.collection(NAME))
    assert predicted is not None
    names = report.categories
    found = [[len(quality.confused(predicted, label, taken)) for taken in names] for label in names]
    assert found == report.classification.confusion


def test_confused_pictures_come_the_most_confident_first() -> None:
    predicted = pd.DataFrame(
        {
            "id": [3, 1, 4, 5],
            "label": ["Shirt", "Shirt", "Shirt", "Coat"],
            "predicted": ["Coat", "Coat", "Shirt", "Shirt"],
            "confidence": [0.5, 0.9, 1.0, 1.0],
        }
    )
    assert quality.confused(predicted, "Shirt", "Coat").tolist() == [1, 3]
    assert quality.confused(predicted, "Coat", "Coat").dtype == np.int64
    assert len(quality.confused(predicted, "Hat", "Coat")) == 0


def test_predictions_of_another_evaluation_or_damaged_ones_are_none(evaluated: Workspace) -> None:
    path = evaluated.collection(NAME).predictions_file
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    assert quality.predictions(evaluated.collection(NAME)) is None
    path.write_bytes(content)
    assert quality.predictions(evaluated.collection(NAME)) is not None
    evaluated.collection(NAME).evaluation_file.unlink()
    assert quality.predictions(evaluated.collection(NAME)) is None
    assert quality.kept(evaluated.collection(NAME)) is None


@pytest.mark.parametrize("written", ["", "{", "[]", "null", "{}", '{"classification": {}}', "[" * 100_000, "\xff"])
def test_a_damaged_file_of_figures_is_none(tmp_path: Path, written: str) -> None:
    workspace = Workspace(tmp_path)
    file = workspace.collection(NAME).evaluation_file
    file.parent.mkdir(parents=True)
    file.write_bytes(written.encode("latin-1"))
    assert quality.kept(workspace.collection(NAME)) is None
    assert quality.predictions(workspace.collection(NAME)) is None


def test_the_figures_of_this_repository_are_read_as_they_were_written() -> None:
    written = json.loads((REPOSITORY / "models" / NAME / "evaluation.json").read_text())
    assert asdict(report_of(Workspace(REPOSITORY))) == written


def test_figures_of_today_need_no_word(evaluated: Workspace) -> None:
    assert news(evaluated) == []


def test_decisions_since_are_counted(evaluated: Workspace) -> None:
    with evaluated.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", 0)
        assert news(evaluated) == ["1 decision was made since these figures."]
        catalogue.decide_all([Change(2, 0, label="Bag"), Change(3, 0, label="Bag")], "ann")
    assert news(evaluated) == ["3 decisions were made since these figures."]


def test_another_head_is_told(evaluated: Workspace) -> None:
    path = evaluated.collection(NAME).head_file
    head = Head.read(path)
    with evaluated.collection(NAME).catalogue() as catalogue:
        today = catalogue.labels()
    _, embeddings, _ = labelled_embeddings(evaluated.collection(NAME), head.encoder_digest)
    Head.fit(embeddings[::2], today.labels[::2], head.encoder_digest, 0).write(path)
    assert news(evaluated) == ["The classifier has been refitted since."]


def test_the_same_head_and_index_made_once_more_are_no_news(evaluated: Workspace) -> None:
    report = report_of(evaluated)
    build_index(evaluated.collection(NAME))
    again = quality.index_facts(evaluated.open(NAME).searcher.index)
    assert again == report.index_facts


def test_an_index_with_other_hyperplanes_is_told(evaluated: Workspace) -> None:
    path = evaluated.collection(NAME).index_file
    index, header = read_index(path)
    ids = np.concatenate([part.ids for part in index.partitions.values()])
    labels = np.concatenate([[name] * len(part.ids) for name, part in index.partitions.items()])
    write_index(path, CategoryIndex.build(index.embeddings(ids), ids, labels, 512, seed=7), header)
    assert news(evaluated) == ["The index has been rebuilt since, with other hyperplanes."]


def test_a_tuned_index_is_told(evaluated: Workspace) -> None:
    path = evaluated.collection(NAME).index_file
    index, header = read_index(path)
    write_index(path, CategoryIndex(index.hyperplanes, index.partitions, {"Bag": Tuning(n_probes=2)}), header)
    assert news(evaluated) == ["The index was tuned since."]


def test_a_category_that_decisions_emptied_is_no_tuning() -> None:
    then = IndexFacts(512, "a", {"Bag": 4, "Hat": 2}, {"Bag": None, "Hat": None})
    now = replace(then, key_bits={"Bag": 4, "Coat": 1}, n_probes={"Bag": None, "Coat": None})
    assert quality._index_news(then, now) == []
    assert quality._index_news(then, replace(now, key_bits={"Bag": 5})) == ["The index was tuned since."]


def test_another_encoder_another_catalogue_and_new_pictures_are_told(evaluated: Workspace) -> None:
    report = report_of(evaluated)
    assert news(evaluated, replace(report, encoder_digest="other")) == [
        "These figures were measured with another encoder."
    ]
    assert news(evaluated, replace(report, label_revision=5)) == ["The catalogue has been recreated since."]
    assert news(evaluated, replace(report, items=399)) == ["1 picture was added since."]
    assert news(evaluated, replace(report, items=402)) == ["2 pictures were removed since."]


def without_new_keys(report: Evaluation) -> dict[str, Any]:
    """As a version wrote it that did not measure these yet."""
    return {key: value for key, value in asdict(report).items() if key not in NEW_KEYS}


def test_figures_of_an_older_version_say_so_and_stay(evaluated: Workspace) -> None:
    report = report_of(evaluated)
    evaluated.collection(NAME).evaluation_file.write_text(json.dumps(without_new_keys(report)))
    old = report_of(evaluated)
    assert old.classification == report.classification and old.speed is None
    assert quality.predictions(evaluated.collection(NAME)) is None
    older = "These figures were measured by an older version of Fashion-16, which measured less."
    assert news(evaluated) == [older]


def test_photos_of_an_older_version_are_kept_and_of_another_head_are_not(evaluated: Workspace) -> None:
    file = evaluated.collection(NAME).evaluation_file
    measured = report_of(evaluated)
    shutil.copy(REPOSITORY / "models" / NAME / "evaluation.json", file)
    published = quality.kept(evaluated.collection(NAME))
    assert published is not None and published.photos is not None
    report = replace(measured, photos=published.photos)
    file.write_text(json.dumps(without_new_keys(report)))
    assert quality._earlier_photos(evaluated.collection(NAME), report) == published.photos
    file.write_text(json.dumps(asdict(replace(report, head_digest="other"))))
    assert quality._earlier_photos(evaluated.collection(NAME), report) is None


def test_an_evaluation_has_the_speed_of_each_step(evaluated: Workspace) -> None:
    taken = report_of(evaluated).speed
    assert taken is not None and taken.n == FEW["speed"]
    for step in (taken.prepare, taken.encode, taken.classify, taken.search, taken.total):
        assert 0 < step.median_ms <= step.p95_ms
    # all steps of one picture take at least as long as its longest
    assert taken.total.median_ms >= taken.encode.median_ms
    assert 1 <= taken.cores <= (os.cpu_count() or 1)
    assert taken.machine


class Timed:
    """Takes 1 ms to prepare the first picture, 2 ms the second, and so on; a hundred times that to encode it."""

    def __init__(self) -> None:
        self.searched: list[int] = []

    def search(self, picture: int) -> Answer:
        self.searched.append(picture)
        steps = {"prepare": picture, "encode": 100.0 * picture, "classify": 0.0, "search": 1.0}
        return Answer(Classified(np.zeros(1, np.float32), {}, {}), (), (), 0, 0, 0, steps)


def test_speed_is_the_median_and_the_95th_percentile_without_the_first_rounds() -> None:
    searcher, told = Timed(), []
    ids = np.arange(1, 22)
    found = speed.measure(searcher, ids, lambda item_id: item_id, lambda done, total: told.append((done, total)))  # type: ignore[arg-type, return-value]
    # 1 to 21: the eleventh is 11, and 95 % of the way from the first to the last is 20
    assert found.prepare == StepTime(11, 20)
    assert found.encode == StepTime(1100, 2000)
    assert found.search == StepTime(1, 1)
    assert found.total == StepTime(1112, 2021)
    assert found.n == 21
    assert searcher.searched == [1, 2, 3, *range(1, 22)]
    assert told == [(done, 21) for done in range(1, 22)]
