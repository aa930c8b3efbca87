"""Quality, the paper and the map on the Metrics page, as a script."""

from __future__ import annotations

import json
import shutil
from functools import partial
from typing import Any

import numpy as np
import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from fashion16 import settings
from fashion16.collections.workspace import Workspace
from fashion16.evaluation import metrics, paper
from fashion16.explore.map import T_SNE, CollectionMap
from fashion16.labels import issues
from tests.conftest import REPOSITORY
from tests.evaluations import NAME, evaluate
from tests.ui.apps import at
from ui.metrics import map as map_page
from ui.metrics import mistakes
from ui.shared import selection

shown = partial(at, "4_Metrics.py")


def words(app: AppTest) -> str:
    return "\n".join(element.value for kind in (app.markdown, app.caption, app.info, app.warning) for element in kind)


def test_before_the_first_evaluation_the_page_says_which_command_makes_one(app: AppTest) -> None:
    shown(app, "Quality")
    assert "has not been measured yet" in app.info[0].value
    assert app.code[0].value == f"fashion16 evaluate {NAME}"


def test_all_figures_are_on_the_page_each_with_its_date_model_and_revision(app: AppTest, home: Workspace) -> None:
    evaluate(home)
    shown(app, "Quality")
    assert not app.warning
    headings = [line.value for line in app.markdown if line.value.startswith("#### ")]
    assert headings == [
        "#### What is taken for what",
        "#### Category by category",
        "#### Is its confidence right?",
        "#### Similar garments",
        "#### With few labels",
        "#### How fast it answers",
        "#### Index against exact search",
    ]
    dated = [line.value for line in app.caption if line.value.startswith("23 Nov 2026")]
    assert len(dated) == 1 + len(headings)
    assert all("encoder " in line and "classifier " in line and r"labels revision 0" in line for line in dated)
    cards = {card.label: card for card in app.metric}
    report = json.loads(home.collection(NAME).evaluation_file.read_text())
    accuracy = report["classification"]["accuracy"]
    assert cards["Right guesses"].value == f"{accuracy['value']:.1%}"
    assert cards["Same label in 20"].delta == "88.0–92.0% · n 400"


def test_figures_that_are_not_todays_carry_a_warning(app: AppTest, home: Workspace) -> None:
    evaluate(home)
    with home.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", 0)
    shown(app, "Quality")
    assert "1 decision was made since these figures" in app.warning[0].value


def test_the_figures_of_an_older_version_are_shown_with_a_warning(app: AppTest, home: Workspace) -> None:
    # the file as this repository has it, whose photos and probes a newer one may lack
    shutil.copy(REPOSITORY / "models" / NAME / "evaluation.json", home.collection(NAME).evaluation_file)
    report = json.loads(home.collection(NAME).evaluation_file.read_text())
    for key in ("head_digest", "index_facts", "speed", "predictions_digest"):
        report.pop(key, None)
    home.collection(NAME).evaluation_file.write_text(json.dumps(report))
    shown(app, "Quality")
    assert "older version" in app.warning[0].value
    assert f"fashion16 evaluate {NAME}" in words(app)
    assert any(line.value == "#### On people’s own photos" for line in app.markdown)
    assert not any(line.value == "#### How fast it answers" for line in app.markdown)


def test_foreign_names_do_not_write_on_the_page(app: AppTest, home: Workspace) -> None:
    evaluate(home, split="*test* <script>")
    shown(app, "Quality")
    assert r"\*test\* \<script\>" in words(app)


def test_a_click_opens_exactly_the_pictures_of_its_cell(home: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    predicted = evaluate(home)
    sent: list[tuple[str, list[int]]] = []
    monkeypatch.setattr(selection, "send", lambda opened, title, ids: sent.append((title, [int(i) for i in ids])))
    said: list[str] = []
    monkeypatch.setattr(st, "toast", lambda text, icon: said.append(text))
    opened = home.open(NAME)
    mistakes.open_cell(opened, predicted, "Bag", "Shirt")
    ((title, ids),) = sent
    assert title == "Bag, predicted Shirt"
    both = (predicted["label"] == "Bag") & (predicted["predicted"] == "Shirt")
    assert set(ids) == set(predicted["id"][both])
    assert len(ids) >= 3
    mistakes.open_cell(opened, predicted, "Bag", "no such category")
    mistakes.open_cell(opened, None, "Bag", "Shirt")
    assert len(sent) == 1
    assert said[0] == "There are no such pictures."
    assert "Evaluate now" in said[1]
    opened.close()


def test_mistakes_of_a_bin_are_those_that_the_curve_counts(home: Workspace) -> None:
    predicted = evaluate(home)
    hits = (predicted["label"] == predicted["predicted"]).to_numpy()
    curve = metrics.calibration(predicted["confidence"].to_numpy(), hits).curve
    counted = [round(point.n * (1 - point.accuracy)) for point in curve]
    found = [len(mistakes.wrong_in_bin(predicted, point.confidence)) for point in curve]
    assert found == counted
    assert sum(found) == int((~hits).sum()) >= 3


def test_the_paper_stands_beside_us_with_what_was_measured_and_no_more(app: AppTest, home: Workspace) -> None:
    evaluate(home)
    shown(app, "The paper")
    table = app.dataframe[0].value.set_index("what")
    assert table.loc["Classification precision", "paper"] == "92.71%"
    accuracy = json.loads(home.collection(NAME).evaluation_file.read_text())["classification"]["accuracy"]["value"]
    assert table.loc["Classification precision", "ours"] == f"{accuracy:.2%}"
    # the repository's own run of twenty epochs
    assert table.loc["Training, 20 epochs", "ours"] != paper.NOT_MEASURED
    left = ["Precision with SIFT", "Retrieval precision, 50,000 pictures", "Search in everything"]
    assert set(table.loc[left, "ours"]) == {paper.NOT_MEASURED}
    assert "not on the same data, machine or network" in words(app)


def test_a_reproduction_fills_in_the_papers_page(app: AppTest, home: Workspace) -> None:
    (home.root / "docs").mkdir()
    found = {"seconds_direct": {"value": 0.5, "low": 0.4, "high": 0.6, "n": 100, "median": 0.5, "p95": 0.6}}
    (home.root / "docs" / "reproduction.json").write_text(json.dumps(found))
    shown(app, "The paper")
    table = app.dataframe[0].value.set_index("what")
    assert table.loc["Search in everything", ["ours", "likely between", "measured on"]].tolist() == [
        "0.5 s", "0.4 s – 0.6 s", "100",
    ]  # fmt: skip
    assert "measured by `make reproduce`" in words(app)
    # and with the experiments two charts more
    ours = json.loads((REPOSITORY / "docs" / "reproduction.json").read_text())
    (home.root / "docs" / "reproduction.json").write_text(json.dumps(ours))
    shown(app, "The paper")
    assert "#### Direct, or in the category" in words(app) and "#### Which features tell categories" in words(app)
    assert "From 325,820 pictures on they are synthetic" in words(app)
    assert "measured by `make reproduce`" not in words(app)


def test_the_map_is_there_at_once_and_the_better_one_after_a_command(app: AppTest, home: Workspace) -> None:
    shown(app, "Map")
    assert "All 400 pictures" in words(app)
    app.segmented_control(key="method").set_value("t-SNE").run()
    assert not app.exception
    assert app.code[0].value == f"fashion16 map {NAME}"
    assert app.button(key="start_map").label == "Make the map"


def test_strangers_are_told_the_command_and_get_no_button(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.MANAGE.variable)
    shown(app, "Map", method="t-SNE")
    assert app.code[0].value == f"fashion16 map {NAME}"
    assert not [button for button in app.button if button.key == "start_map"]


def test_a_kept_map_is_drawn_without_what_was_excluded(app: AppTest, home: Workspace) -> None:
    opened = home.open(NAME)
    digest = opened.searcher.encoder.digest
    opened.exclude(2, "ann", 0)
    places = np.arange(8, dtype=np.float32).reshape(4, 2)
    CollectionMap(np.array([1, 2, 3, 999]), places, T_SNE, digest).write(home.collection(NAME).map_file)
    frame = map_page.labelled(np.array([1, 2, 3, 999]), places, opened)
    assert frame["id"].tolist() == [1, 3]
    assert frame["x"].tolist() == [0.0, 4.0]
    assert frame["label"].tolist() == [opened.catalogue.item(i).label for i in (1, 3)]
    opened.close()
    shown(app, "Map", method="t-SNE")
    assert "2 of 399 pictures" in words(app)


def test_suspicion_colours_the_map_once_the_labels_are_ranked(app: AppTest, home: Workspace) -> None:
    shown(app, "Map", colour="Suspicion")
    assert app.code[0].value == f"fashion16 label-issues {NAME}"
    issues.rank(home.collection(NAME))
    app.run()
    assert not app.exception
    assert not app.code
    assert "All 400 pictures" in words(app)


def test_without_a_comparison_the_page_says_how_to_make_one(app: AppTest) -> None:
    shown(app, "Peers")
    assert any("make bench-peers" in element.value for element in app.info)


def test_a_comparison_is_shown_by_size_with_the_fastest_of_enough_recall(app: AppTest, home: Workspace) -> None:
    def point(items: int, method: str, words: str, recall: float, milliseconds: float) -> dict[str, Any]:
        share = {"value": recall, "low": recall, "high": recall, "n": 50}
        single = {"milliseconds": milliseconds}
        measured = {"items": items, "method": method, "words": words, "recall": share, "recall_in_category": None}
        return measured | {"single": single, "batch": None, "build_seconds": 1.0, "bytes": 1000}

    points = [
        point(70_000, "faiss A", "slow", 0.995, 2.0),
        point(70_000, "faiss A", "fast", 0.991, 1.0),
        point(70_000, "<b>B</b>", "rough", 0.5, 0.1),
        point(325_820, "faiss A", "fast", 0.992, 3.0),
    ]
    notes = [{"items": 70_000, "method": "C", "note": "not built"}]
    (home.root / "docs").mkdir(exist_ok=True)
    document = {"points": points, "notes": notes, "machine": {"date": "2026-11-24"}, "aims": []}
    (home.root / "docs" / "peers.json").write_text(json.dumps(document))
    shown(app, "Peers")
    assert app.dataframe[0].value[["method", "setting", "milliseconds"]].values.tolist() == [["faiss A", "fast", 1.0]]
    captions = "\n".join(element.value for element in app.caption)
    assert r"Never that good here: \<b\>B\</b\>." in captions
    assert "C: not built" in captions
    app.segmented_control(key="peers_size").set_value("325,820").run()
    assert app.dataframe[0].value["milliseconds"].tolist() == [3.0]
    assert "C: not built" not in "\n".join(element.value for element in app.caption)
