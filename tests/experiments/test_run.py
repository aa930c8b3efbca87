"""The paper's experiments in order: what is kept, what is run again, and the page that comes of it."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from experiments.kept_results import kept, plain
from experiments.paper import __main__ as cli_reproduce
from experiments.paper import page as reproduction_report
from experiments.paper import run as reproduction
from experiments.paper import sift as sift_experiment
from experiments.paper.histories import Histories
from experiments.paper.report import Report, Sizes
from experiments.paper.run import reproduce
from fashion16 import settings
from fashion16.collections.workspace import Workspace
from fashion16.errors import DataError, TrainingError
from fashion16.estimate import Figure
from fashion16.evaluation import paper
from tests.conftest import REPOSITORY
from tests.evaluations import publish_tests

FIGURE = {"value": 0.9, "low": 0.85, "high": 0.95, "n": 1234}
SECONDS = {"value": 0.0021, "low": 0.002, "high": 0.0022, "n": 1000, "median": 0.002, "p95": 0.003}


def method(name: str, accuracy: float) -> dict[str, Any]:
    return {
        "name": name,
        "accuracy": FIGURE | {"value": accuracy},
        "precision_at_20_in_category": FIGURE,
        "precision_at_20_direct": FIGURE,
        "without_descriptors": 0.25,
        "ms_per_picture": 1.5,
        "dimensions": 256,
    }


SIFT = {
    "methods": [method("SIFT keypoints, VLAD", 0.7), method("Dense SIFT, VLAD", 0.8931), method("HOG", 0.9)],
    "cnn": method("Fashion-16's embedding", 0.94),
}


FEW = Sizes((100, 200), (1, 2), 20, 12, (), 10, 30, 8)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each experiment has run; SIFT's is a stand-in, which has its own tests."""
    ran: Counter[str] = Counter()

    def watch(name: str, real: Any) -> None:
        def run(*args: Any, **kwargs: Any) -> Any:
            ran[name] += 1
            return real(*args, **kwargs)

        monkeypatch.setattr(reproduction, name, run)

    for name in ("classification_precision", "precision_by_size", "ask", "wrong_categories"):
        watch(name, getattr(reproduction, name))

    def sift(*args: Any) -> sift_experiment.Sift:
        ran["sift"] += 1
        return msgspec.convert(SIFT, sift_experiment.Sift)

    monkeypatch.setattr(sift_experiment, "run", sift)
    monkeypatch.setattr(reproduction, "QUICK", FEW)
    return ran


def written(file: Path) -> Report:
    return msgspec.json.decode(file.read_bytes(), type=Report)


ALL = {"classification_precision": 1, "precision_by_size": 1, "ask": 1, "wrong_categories": 1, "sift": 1}


@pytest.fixture
def published(small_workspace: Workspace) -> Workspace:
    """The small workspace with 50 test pictures among its 400."""
    publish_tests(small_workspace)
    return small_workspace


def test_a_quick_run_measures_everything_and_leaves_docs_alone(published: Workspace, counted: Counter[str]) -> None:
    steps: list[str] = []
    report = reproduce(published, quick=True, step=steps.append)
    assert counted == ALL
    file, page = reproduction.result_files(published, quick=True)
    assert written(file) == report
    assert page.read_text() == reproduction_report.page(report)
    assert "**A quick run**" in page.read_text()
    assert not published.reproduction_file.exists() and not published.reproduction_page.exists()
    assert steps[0] == "opening the collection" and "searching 400 items" in steps
    assert (report.items, report.test_pictures, report.quick) == (400, 50, True)
    assert report.classification.all.n == 50
    assert [point.items for point in report.retrieval_by_size] == [100, 200]
    (searched,) = report.searches
    assert (searched.items, searched.synthetic) == (400, False)
    # so few items are all compared
    assert searched.direct.recall_at_20.value > 0.98
    assert searched.direct.candidates == 400
    assert report.sift_precision.value == 0.8931  # the best of SIFT, which HOG is not
    assert report.machine.cores >= 1 and report.machine.versions["numpy"] == np.__version__
    # in the category, with right labels, precision is the share of queries that are classified rightly
    wrong = report.wrong_categories
    assert wrong.wrong_in_category.value == pytest.approx(wrong.wrongly_classified.value)


def test_the_metrics_page_finds_our_figures(published: Workspace, counted: Counter[str]) -> None:
    report = reproduce(published, quick=True)
    table = paper.beside_us(None, [], report).set_index("what")
    assert table.loc["Precision with SIFT", "ours"] == 0.8931
    for what, way in (("Search in the category", "in_category"), ("Search in everything", "direct")):
        assert table.loc[what, "ours"] == getattr(report.searches[0], way).seconds.value
        assert table.loc[what, "low"] <= table.loc[what, "ours"] <= table.loc[what, "high"]
    assert table.loc["Retrieval precision, 200 pictures", "ours"] == report.retrieval_by_size[1].precision


def test_what_is_there_is_not_run_again(published: Workspace, counted: Counter[str]) -> None:
    first = reproduce(published, quick=True)
    second = reproduce(published, quick=True)
    assert counted == ALL
    assert second.searches == first.searches and second.steps == first.steps


def test_an_interrupted_run_repeats_only_what_is_missing(
    published: Workspace, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = reproduction.ask

    def interrupted(*args: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(reproduction, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        reproduce(published, quick=True)
    assert counted == {"classification_precision": 1, "precision_by_size": 1}
    monkeypatch.setattr(reproduction, "ask", real)
    reproduce(published, quick=True)
    assert counted == ALL


def test_other_labels_are_measured_anew(published: Workspace, counted: Counter[str]) -> None:
    reproduce(published, quick=True)
    with published.collection("fashion-mnist").catalogue() as catalogue:
        label = catalogue.item(1).label
        catalogue.correct(1, "Bag" if label != "Bag" else "Coat", "ann", 0)
    reproduce(published, quick=True)
    assert counted == {name: 2 for name in ALL}


@dataclass(frozen=True)
class Measured:
    share: Figure
    n: int
    third: float
    sizes: tuple[int, ...]


def test_a_step_of_another_key_or_a_damaged_one_is_run_again(tmp_path: Path) -> None:
    file = tmp_path / "steps" / "one.json"
    made: list[int] = []

    def make() -> Measured:
        made.append(1)
        return Measured(Figure.share(3, 4), np.int64(5), np.float64(1) / 3, (1, 2))

    first = kept(file, {"sizes": (1, 2)}, make, Measured)
    assert first.result.share == Figure(0.75, 0.300642, 0.954413, 4)
    assert (first.result.n, first.result.third, first.result.sizes) == (5, 0.333333, (1, 2))
    assert kept(file, {"sizes": (1, 2)}, make, Measured) == first  # a tuple is a list in JSON
    assert len(made) == 1
    kept(file, {"sizes": (1, 3)}, make, Measured)
    assert len(made) == 2
    file.write_text(file.read_text()[:-20])
    kept(file, {"sizes": (1, 3)}, make, Measured)
    assert len(made) == 3
    with pytest.raises(TypeError, match="no place in a report"):
        plain({"what": object()})


def test_synthetic_items_are_searched_without_the_test_pictures(
    published: Workspace, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reproduction, "FULL", replace(FEW, synthetic=(900,)))
    seen: list[int] = []
    made = reproduction.SyntheticItems

    def watched(embeddings: Any, labels: Any, changes: Any, n: int, seed: int) -> Any:
        seen.extend([len(embeddings), len(changes), n])
        return made(embeddings, labels, changes, n, seed)

    monkeypatch.setattr(reproduction, "SyntheticItems", watched)
    report = reproduce(published)
    assert seen == [350, 10, 900]
    real, synthetic = report.searches
    assert (real.items, real.synthetic) == (400, False)
    assert (synthetic.items, synthetic.synthetic) == (900, True)
    assert synthetic.in_category.seconds.n == 12
    assert synthetic.direct.candidates == 900
    assert synthetic.direct.recall_at_20.value > 0.9
    text = published.reproduction_page.read_text()
    assert "900 synthetic" in text and "**A quick run**" not in text
    assert written(published.reproduction_file) == report
    # a full run is not a quick one's
    reproduce(published, quick=True)
    assert counted["precision_by_size"] == 2
    assert written(published.reproduction_file) == report


def test_without_open_cv_all_else_is_measured(
    published: Workspace, counted: Counter[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*args: Any) -> None:
        raise TrainingError("SIFT needs OpenCV. Run: pip install -r requirements-train.txt")

    with_sift = sift_experiment.run
    monkeypatch.setattr(sift_experiment, "run", missing)
    report = reproduce(published, quick=True)
    assert report.sift_precision is None
    _, page = reproduction.result_files(published, quick=True)
    assert "Not measured: SIFT needs OpenCV" in page.read_text()
    monkeypatch.setattr(sift_experiment, "run", with_sift)
    assert reproduce(published, quick=True).sift_precision is not None


def test_training_anew_is_asked_of_the_category_network_and_done_once(
    published: Workspace, counted: Counter[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from tests.training_runs import FIRST, RESULT, SECOND, category_settings, own_runs, write_run

    own_runs(published.root)
    result = RESULT | {"test_pictures": 200}
    trained: list[int] = []

    def train(data: Any, runs: Path, settings: Any, report: Any) -> Any:
        trained.append(settings.epochs)
        report(0, 0.5, {})
        return write_run(published, SECOND, category_settings(published, 20), result=result | {"seconds": 99.0})

    monkeypatch.setattr(reproduction.category_training, "train_category_cnn", train)
    assert reproduce(published, quick=True).training == Histories(None, [])
    write_run(published, FIRST, category_settings(published, 20), result=result)
    told: list[tuple[int, int]] = []
    stored = reproduce(published, quick=True).training.category_cnn
    assert stored.name == FIRST and stored.accuracy.value == 0.75 and stored.accuracy.n == 200
    assert [row["epoch"] for row in stored.epochs] == [0, 1, 2]
    assert trained == []
    for _ in range(2):
        report = reproduce(published, quick=True, train=True, progress=lambda done, total: told.append((done, total)))
        assert report.training.category_cnn.name == SECOND
    assert trained == [20]
    assert (500, 20_000) in told


def test_without_pictures_the_command_says_how_to_get_them(published: Workspace) -> None:
    published.collection("fashion-mnist").pictures_file.unlink()
    with pytest.raises(DataError, match="fashion16 import fashion-mnist"):
        reproduce(published, quick=True)


def test_without_test_pictures_nothing_is_measured(small_workspace: Workspace) -> None:
    with pytest.raises(DataError, match="test split"):
        reproduce(small_workspace, quick=True)
    assert not small_workspace.reproduction_folder.exists()


def test_photos_are_refused_in_a_sentence(published: Workspace) -> None:
    published.collection("fashion-mnist").pictures_file.unlink()
    (published.collection("fashion-mnist").data_folder / "thumbnails").mkdir()
    with pytest.raises(DataError, match="has photos. Run them on fashion-mnist"):
        reproduce(published, quick=True)


def hand_made() -> Report:
    """A report as `reproduce` returns it, with figures that can be found again in the page."""
    way = {
        "seconds": SECONDS,
        "search_seconds": SECONDS | {"value": 0.0004, "low": 0.0003, "high": 0.0005},
        "precision_at_20": FIGURE,
        "recall_at_20": FIGURE | {"value": 0.991},
        "recall_of_everything": FIGURE | {"value": 0.7777},
        "candidates": 7000.4,
    }
    ways = {"in_category": way, "direct": way, "direct_to_in_category": 8.44, "load_before": 0.53}
    guesses = {name: FIGURE for name in ("first_guess", "second_guess", "direct", "two_guesses")}
    spread = FIGURE | {"lowest": 0.88, "highest": 0.92}
    point = {
        "items": 50_000,
        "precision": 0.8765,
        "low": 0.86,
        "high": 0.89,
        "n": 2000,
        "lowest": 0.87,
        "highest": 0.88,
    }
    run = {
        "name": "2026-01-02-030405-006-category-cnn",
        "settings": {"epochs": 20},
        "result": {"seconds": 334.0, "best_epoch": 17},
        "accuracy": FIGURE | {"value": 0.9297},
        "epochs": [{"epoch": 0, "loss": 0.51, "accuracy": 0.8178, "seconds": 15.4}],
    }
    found = {
        "quick": False,
        "measured_at": "2026-01-02T03:04:05+00:00",
        "written_at": "2026-01-02T03:04:06+00:00",
        "collection": "fashion-mnist",
        "items": 70_000,
        "test_pictures": 10_000,
        "encoder_digest": "ee002c",
        "label_revision": 12,
        "embeddings_from": "float32",
        "machine": {
            "cpu": "A|B 9000",
            "cores": 2,
            "memory_bytes": 8 * 2**30,
            "peak_memory_bytes": 3 * 2**30,
            "system": "Linux x86_64",
            "versions": {"python": "3.12.1"},
            "git_commit": None,
        },
        "sizes": asdict(replace(FEW, seeds=(16, 17, 18))),
        "seed": 16,
        "steps": {"sizes": {"seconds": 61.4, "measured_at": "2026-01-02T03:04:05+00:00"}},
        "training": {"category_cnn": run, "encoder": [run | {"name": "2026-01-04-encoder", "accuracy": None}]},
        "classification": {
            "all": FIGURE | {"value": 0.9412},
            "samples": {"value": 0.9413, "low": 0.927, "high": 0.955, "n": 1000, "samples": 1000},
        },
        "retrieval_by_size": [point | {"classification": spread, "direct": spread, "without_labels": spread}],
        "searches": [
            {"items": 70_000, "synthetic": False, **ways},
            {"items": 325_820, "synthetic": True, **ways, "load_before": None},
        ],
        "seconds_in_category": SECONDS,
        "seconds_direct": SECONDS,
        "wrong_categories": {
            "wrong_in_category": FIGURE | {"value": 0.0588},
            "wrong_direct": FIGURE | {"value": 0.1234},
            "wrongly_classified": FIGURE | {"value": 0.0588},
            "right": guesses,
            "wrong": guesses | {"first_guess": None},
            "found_again": {"all": guesses, "wrong": guesses},
        },
        "sift": SIFT,
        "sift_precision": FIGURE | {"value": 0.8931},
    }
    return msgspec.convert(json.loads(json.dumps(found)), Report)


def test_the_report_of_this_repository_is_read_as_it_was_written_and_makes_its_page() -> None:
    report = written(REPOSITORY / "docs" / "reproduction.json")
    text = json.loads((REPOSITORY / "docs" / "reproduction.json").read_text())
    assert without_none(json.loads(json.dumps(asdict(report)))) == without_none(text)
    assert reproduction_report.page(report) == (REPOSITORY / "docs" / "reproduction.md").read_text()


def without_none(report: Any) -> Any:
    """The same without what is None or empty: a file of an older version has no such keys."""
    if isinstance(report, dict):
        return {key: without_none(value) for key, value in report.items() if value not in (None, "", [])}
    return [without_none(value) for value in report] if isinstance(report, list) else report


def test_the_page_has_every_figure_with_its_interval_and_sample() -> None:
    text = reproduction_report.page(hand_made())
    assert "| Classification precision | 0.9271 | 0.9412 | 0.8500 to 0.9500 | 1,234 |" in text
    assert "| Precision with SIFT | 0.8940 | 0.8931 |" in text
    assert "| Search in the category | 3.242 s | 0.0021 s | 0.002 s to 0.0022 s | 1,000 |" in text
    assert "| Retrieval precision, 50,000 pictures | 0.8841 | 0.8765 | 0.8600 to 0.8900 | 2,000 |" in text
    assert "| Retrieval precision, 300,000 pictures | 0.9387 | too few pictures |" in text
    assert "| Training, 20 epochs | 7,301 s | 334 s |" in text
    assert "| 50,000 | 87.65 % (86.00–89.00, n = 2,000), 87.00–88.00 |" in text
    assert "| 70,000 real | in the category | 0.40 ms (0.30–0.50, n = 1,000) | 2.10 ms (2.00–2.20, n = 1,000) |" in text
    assert "| 325,820 synthetic | directly |" in text
    assert "70,000: directly takes 8.4 times as long as in the category (load of the machine before: 0.5)" in text
    assert "325,820: directly takes 8.4 times as long as in the category\n" in text
    assert "| Dense SIFT, VLAD | 89.31 % (85.00–95.00, n = 1,234) |" in text
    assert "directly **12.34 % (85.00–95.00, n = 1,234)**" in text
    assert "| classified wrongly | – | 90.00 %" in text
    assert "| 1 | 0.5100 | 0.8178 | 15 |" in text
    assert "the mean of 1,000 samples of 1,000 pictures is 94.13 %" in text
    assert "| processor | A\\|B 9000, 2 cores |" in text
    assert "| commit | unknown |" in text
    assert "3.0 GB of memory at most" in text
    assert "at 325,820 synthetic items a search in the category is 8.4 times as fast" in text
    assert "5.9 % of the results are of another category than the query, and 12.3 % of a direct search's" in text
    assert "**A quick run**" not in text


def test_the_page_says_what_differs_and_what_is_not_there() -> None:
    made = hand_made()
    report = replace(
        made,
        quick=True,
        training=Histories(None, []),
        sift=sift_experiment.Sift(missing="SIFT needs OpenCV."),
        sift_precision=None,
        machine=replace(made.machine, memory_bytes=None, peak_memory_bytes=None),
    )
    text = reproduction_report.page(report)
    for what in ("**Data.**", "**Size.**", "**Network.**", "**Machine.**", "**A quick run**"):
        assert what in text
    assert "`make reproduce TRAIN=1`" in text
    assert "Not measured: SIFT needs OpenCV." in text
    assert "| Training, 20 epochs | 7,301 s | not measured yet |" in text
    assert "| memory | unknown |" in text


def test_every_table_of_the_page_has_as_many_cells_in_each_row() -> None:
    lines = reproduction_report.page(hand_made()).splitlines()
    for above, below in zip(lines, lines[1:], strict=False):
        if above.startswith("|") and below.startswith("|"):
            assert len(re.findall(r"(?<!\\)\|", above)) == len(re.findall(r"(?<!\\)\|", below)), below


def test_the_command_prints_the_papers_figures_beside_ours(
    published: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[dict[str, Any]] = []

    def fake(workspace: Workspace, **choices: Any) -> Report:
        choices["step"]("searching")
        choices["progress"](1, 2)
        asked.append(choices)
        return hand_made()

    monkeypatch.setattr(reproduction, "reproduce", fake)
    app = typer.Typer()
    app.command()(cli_reproduce.reproduce)
    done = CliRunner().invoke(
        app, ["--quick"], env={settings.HOME.variable: str(published.root), "COLUMNS": "200"}, catch_exceptions=False
    )
    assert done.exit_code == 0
    assert re.search(r"Precision with SIFT\W+0\.8940\W+0\.8931", done.stdout)
    assert str(published.reproduction_folder / "quick" / "reproduction.md") in done.stdout
    assert (asked[0]["quick"], asked[0]["train"]) == (True, False)
