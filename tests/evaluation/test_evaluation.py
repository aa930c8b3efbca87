"""Figures of quality, with numbers small enough to work out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fashion16.collections.indexing import build_index
from fashion16.collections.workspace import Workspace
from fashion16.estimate import Figure
from fashion16.evaluation import metrics
from fashion16.evaluation import report as reports
from fashion16.evaluation.figures import CategoryFigures, Evaluation
from fashion16.evaluation.report import evaluate, kept
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.searcher import Searcher
from fashion16.sources.clothing import ClothingArchive
from tests.evaluations import FEW, publish_tests
from tests.fakes import FakeEncoder, unit_vectors, write_clothing_archive


def test_a_share_has_wilsons_interval() -> None:
    # 8 of 10 by Wilson: (8 + 1.92 ± 1.96 * sqrt(1.6 + 0.96)) / 13.84
    figure = Figure.share(8, 10)
    assert figure.value == 0.8
    assert figure.low == pytest.approx(0.4902, abs=1e-4)
    assert figure.high == pytest.approx(0.9433, abs=1e-4)
    assert figure.n == 10


def test_a_mean_has_the_normal_interval() -> None:
    figure = Figure.mean(np.array([0.0, 1.0, 1.0, 1.0]))
    # standard deviation 0.5, over the square root of 4
    assert (figure.value, figure.low, figure.high) == pytest.approx((0.75, 0.26, 1.0))


def test_classification_counts_what_was_taken_for_what() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]], np.float32)
    report = metrics.classification(probabilities, np.array(["Bag", "Coat", "Coat", "Bag"]), ("Bag", "Coat"))
    assert report.accuracy.value == 0.75
    assert report.confusion == [[2, 0], [1, 1]]
    bag, coat = report.categories["Bag"], report.categories["Coat"]
    assert (bag.precision.value, bag.recall.value) == pytest.approx((2 / 3, 1.0))
    assert (coat.precision.value, coat.recall.value) == pytest.approx((1.0, 0.5))
    assert coat.f1 == pytest.approx(2 / 3)


def test_a_category_that_is_never_predicted_or_never_there_has_no_figure() -> None:
    probabilities = np.array([[0.9, 0.1, 0.0]], np.float32)
    categories = metrics.classification(probabilities, np.array(["Coat"]), ("Bag", "Coat", "Shoe")).categories
    assert categories["Bag"].recall is None
    assert categories["Coat"].precision is None
    assert categories["Shoe"] == CategoryFigures(None, None, 0.0)


def test_predictions_say_of_each_picture_what_it_was_taken_for() -> None:
    probabilities = np.array([[0.9, 0.1], [0.25, 0.75]], np.float32)
    found = metrics.predictions(probabilities, np.array([7, 9]), np.array(["Bag", "Hat"]), ("Bag", "Coat"))
    assert found.to_dict("list") == {
        "id": [7, 9],
        "label": ["Bag", "Hat"],
        "predicted": ["Bag", "Coat"],
        "confidence": [pytest.approx(0.9), 0.75],
    }


def test_calibration_is_the_gap_between_confidence_and_accuracy() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55], np.float32)
    report = metrics.calibration(confidence, np.array([True, True, True, False]))
    # half the pictures are 0.05 off, the other half 0.05
    assert report.expected_error == pytest.approx(0.05, abs=1e-6)
    assert [point.n for point in report.curve] == [2, 2]


def test_average_precision_looks_at_the_ranks() -> None:
    assert metrics.average_precision(np.array([True, False, True])) == pytest.approx((1 + 2 / 3) / 2)
    assert metrics.average_precision(np.array([False, False])) == 0.0


def _searcher() -> tuple[Searcher, np.ndarray, np.ndarray, np.ndarray]:  # type: ignore[type-arg]
    """Sixty items in two well separated categories, and a head that knows them."""
    labels = np.array(["Bag"] * 30 + ["Coat"] * 30)
    embeddings = unit_vectors(60, 12, seed=1) * 0.2
    embeddings[:30, 0] += 1
    embeddings[30:, 1] += 1
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    ids = np.arange(100, 160)
    encoder = FakeEncoder()
    head = Head.fit(embeddings, labels, encoder.digest, 0)
    return Searcher(encoder, head, CategoryIndex.build(embeddings, ids, labels), 32), embeddings, ids, labels


def test_retrieval_by_label_leaves_the_query_out() -> None:
    searcher, embeddings, ids, labels = _searcher()
    label_of = dict(zip(ids.tolist(), labels.tolist(), strict=True))
    told: list[tuple[int, int]] = []
    report = metrics.label_retrieval(
        searcher, ids[:5], embeddings[:5], label_of, lambda done, total: told.append((done, total))
    )
    assert told == [(done, 10) for done in range(1, 11)]  # five both ways
    assert report.in_category.precision_at_20.value == 1.0
    assert report.direct.map_at_20.value == 1.0
    # an item whose label is alone among its neighbours has no relevant result: it may not count itself
    label_of[100] = "Dress"
    report = metrics.label_retrieval(searcher, ids[:1], embeddings[:1], label_of)
    assert report.direct.precision_at_20.value == 0.0


def test_the_recall_of_a_scanned_index_is_that_of_exact_search() -> None:
    searcher, embeddings, ids, labels = _searcher()
    told: list[tuple[int, int]] = []
    points = metrics.index_recall(
        searcher.index, ids[:10], ids, embeddings, labels, (None, 1), lambda done, total: told.append((done, total))
    )
    assert points[0].recall_at_20.value > 0.97
    assert points[0].candidates == 30
    assert told == [(done, 20) for done in range(1, 21)]  # ten queries with each of two numbers of probes


def test_pictures_are_counted_as_they_are_taken() -> None:
    told: list[tuple[int, int]] = []
    given = metrics.counted(iter([np.zeros(1), np.ones(1)]), 2, lambda done, total: told.append((done, total)))
    assert [picture.tolist() for picture in given] == [[0], [1]]
    assert told == [(1, 2), (2, 2)]
    assert len(list(metrics.counted([np.zeros(1)], 1, None))) == 1


def test_more_labels_never_hurt_separable_categories() -> None:
    _, embeddings, _, labels = _searcher()
    points = metrics.small_data(embeddings, labels, embeddings, labels, "digest", (2, 30))
    assert [point.per_category for point in points] == [2, 30]
    assert points[1].accuracy.value == 1.0 >= points[0].accuracy.value


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each figure is measured on some twenty pictures; the steps are the same."""
    monkeypatch.setattr(reports, "FULL", FEW)
    monkeypatch.setattr(reports, "QUICK", FEW)


def evaluate_with_tests(workspace: Workspace, archive: ClothingArchive | None = None) -> Evaluation:
    publish_tests(workspace)
    return evaluate(workspace.collection("fashion-mnist"), archive=archive)


@pytest.mark.usefixtures("few")
def test_a_full_evaluation_is_written_and_a_quick_one_is_not(small_workspace: Workspace) -> None:
    file = small_workspace.collection("fashion-mnist").evaluation_file
    with small_workspace.collection("fashion-mnist").catalogue() as catalogue:
        today = catalogue.labels()
    publish_tests(small_workspace)
    steps: list[str] = []
    quick = evaluate(small_workspace.collection("fashion-mnist"), quick=True, step=steps.append)
    assert not file.exists()
    assert not small_workspace.collection("fashion-mnist").predictions_file.exists()
    assert steps == [
        "encoding the test pictures",
        "categories",
        "retrieval by label",
        "distorted copies",
        "index against exact search",
        "codes of 64 bits",
        "codes of 128 bits",
        "codes of 256 bits",
        "few labels",
        "speed",
    ]
    full = evaluate(small_workspace.collection("fashion-mnist"))
    assert kept(small_workspace.collection("fashion-mnist")) == full
    assert full.classification.accuracy == quick.classification.accuracy
    assert full.classification.accuracy.n == len(today.ids) // 8
    assert np.sum(full.classification.confusion) == len(today.ids) // 8
    assert {(point.n_bits, point.n_probes) for point in full.index} == {
        *((512, probes) for probes in (1, 4, 16, 64, 128, None)),
        *((n_bits, None) for n_bits in (64, 128, 256)),
    }
    assert full.index[5].recall_at_20.value > 0.97
    assert full.photos is None
    assert full.label_revision == 0


@pytest.mark.usefixtures("few")
def test_figures_of_photos_are_kept_while_they_hold(small_workspace: Workspace, tmp_path: Path) -> None:
    labels = ["Dress", "Pants", "Polo", "Skip"]
    path = write_clothing_archive(tmp_path / "a.zip", {f"n{i}": labels[i % 4] for i in range(48)})
    with ClothingArchive(path) as archive:
        first = evaluate_with_tests(small_workspace, archive)
    assert first.photos is not None and first.photos.counterparts.accuracy.n > 0
    # photos are not always at hand, and what was found still holds
    assert evaluate_with_tests(small_workspace).photos == first.photos
    # of other labels it does not
    with small_workspace.collection("fashion-mnist").catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", 0)
    build_index(small_workspace.collection("fashion-mnist"))
    assert evaluate_with_tests(small_workspace).photos is None
