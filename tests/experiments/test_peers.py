"""The comparison with other searches: each finds what it should, is judged rightly, and is told of as it is."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest

from experiments.peers import report
from experiments.peers.__main__ import expected_build, key_of, measured, recall
from experiments.peers.__main__ import result as result_of
from experiments.peers.items import Items, lay_out
from experiments.peers.knobs import grid, lists_for
from experiments.peers.methods import METHODS, Method
from experiments.peers.picture import recall_speed_svg
from fashion16.evaluation.peers import LEAST_MISSED, pareto, points_of
from fashion16.search.index import K
from tests.fakes import unit_vectors
from ui.metrics.peers_charts import recall_speed

N, D = 2000, 32
LABELS = np.array(["Bag", "Coat"] * (N // 2))
BY_NAME = {method.name: method for method in METHODS}


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Items:
    """2,000 random directions; query i is item 7 i, turned a little."""
    vectors = unit_vectors(N, D, seed=1)
    rows = 7 * np.arange(20)
    queries = vectors[rows] + 0.05 * unit_vectors(20, D, seed=2)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    folder = tmp_path_factory.mktemp("peers") / str(N)
    made = lay_out(folder, vectors, LABELS, None, N, queries, LABELS[rows])
    (folder / "items.json").write_text("{}")
    return made


def true_ids(items: Items, in_category: bool) -> np.ndarray:
    cosines = items.queries @ np.concatenate(list(items.embeddings)).T
    if in_category:
        cosines[items.query_categories[:, None] != LABELS[None]] = -2
    return np.argsort(-cosines, axis=1)[:, :K]


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_each_method_finds_the_right_ids_and_its_recall_is_that_of_a_plain_sort(
    method: type[Method], items: Items
) -> None:
    built = method(items, 1)  # type: ignore[call-arg]
    setting = method.settings(N)[-1]
    found = built.search(items.queries, items.query_categories, K, **setting)
    truth = true_ids(items, method.in_category)
    assert found.shape == (20, K)
    np.testing.assert_array_equal(found[:, 0], 7 * np.arange(20))
    shares = [len(set(its) & set(true)) / K for its, true in zip(found.tolist(), truth.tolist(), strict=True)]
    assert np.mean(shares) > 0.9
    alone = built.search(items.queries[3:4], items.query_categories[3:4], K, **setting)
    assert len(set(alone[0].tolist()) & set(found[3].tolist())) >= K - 1

    point = measured(built, items, setting, threads=1, singles=5, limit=1.0)  # type: ignore[arg-type]
    judged = point["recall_in_category"] if method.in_category else point["recall"]
    assert judged["value"] == pytest.approx(np.mean(shares if method.batches else shares[:5]))
    assert judged["n"] == (20 if method.batches else 5)
    assert (point["recall_in_category"] is None) == (not method.in_category)
    assert point["single"]["n"] == 5 and point["single"]["milliseconds"] > 0
    assert 0 < point["core_share"] <= 1
    assert (point["batch"] is None) == (not method.batches)
    assert built.bytes() > N * D // 4  # codes of 512 bits or vectors: never less


def test_recall_is_the_mean_of_the_queries_shares_with_its_interval() -> None:
    found = np.array([[1, 2], [3, -1], [9, 8]])
    truth = np.array([[2, 1], [3, 4], [5, -1]])
    figure = recall(found, truth)
    # 2 of 2, 1 of 2 and 0 of 1: the mean is a half, the standard deviation too
    assert (figure.value, figure.n) == (0.5, 3)
    assert (figure.low, figure.high) == (0.0, 1.0)  # 0.5 less and plus 1.96 * 0.5 / sqrt(3) = 0.57


def test_the_items_lie_in_the_folder_as_the_index_stores_them(items: Items) -> None:
    embeddings = np.concatenate(list(items.embeddings))
    np.testing.assert_array_equal(items.everywhere, true_ids(items, in_category=False))
    np.testing.assert_array_equal(items.in_category, true_ids(items, in_category=True))
    np.testing.assert_array_equal(items.codes, items.hyperplanes.encode(embeddings))
    np.testing.assert_allclose(items.hyperplanes.mean, embeddings.mean(axis=0), atol=1e-6)
    assert {name: len(ids) for name, ids in items.by_category} == {"Bag": 1000, "Coat": 1000}
    assert dict(items.by_category)["Coat"][:3].tolist() == [1, 3, 5]
    assert np.linalg.norm(items.stored / 32767, axis=1) == pytest.approx(np.ones(N), abs=1e-3)


def test_synthetic_items_are_made_again_from_what_lies_in_the_folder(tmp_path: Path) -> None:
    real, changes = unit_vectors(50, D, seed=1), 0.1 * unit_vectors(20, D, seed=2)
    made = lay_out(tmp_path, real, LABELS[:50], changes, 300, real[:4], LABELS[:4])
    again = np.concatenate(list(Items(tmp_path).embeddings))
    assert again.shape == (300, D) and len(np.unique(again.round(5), axis=0)) == 300
    np.testing.assert_array_equal(made.everywhere, np.argsort(-(real[:4] @ again.T), axis=1)[:, :K])


def test_a_result_is_kept_only_for_the_same_items_method_and_threads(items: Items) -> None:
    flat, graph = BY_NAME["faiss IndexFlatIP"], BY_NAME["faiss IndexHNSWFlat"]
    keys = {key_of(items, flat, 2, False), key_of(items, flat, 1, False), key_of(items, graph, 2, False)}
    assert len(keys) == 3
    assert key_of(items, flat, 2, False) in keys


def test_a_method_is_measured_in_a_process_of_its_own_and_not_again(items: Items, tmp_path: Path) -> None:
    flat = BY_NAME["faiss IndexFlatIP"]
    made = result_of(items, flat, [], tmp_path, threads=1, quick=True)
    assert made["complete"] and made["note"] == ""
    assert made["points"][0]["recall"]["value"] == 1.0
    assert N * D * 4 <= made["bytes"] <= N * D * 4 + 200  # float32, and a few words
    assert 50e6 < made["peak_bytes"] < 2e9
    (file,) = tmp_path.iterdir()
    before = file.stat().st_mtime_ns
    assert result_of(items, flat, [], tmp_path, threads=1, quick=True) == made
    assert file.stat().st_mtime_ns == before


def test_a_method_that_takes_too_long_is_stopped_and_one_that_would_is_not_built(items: Items, tmp_path: Path) -> None:
    graph = BY_NAME["faiss IndexHNSWFlat"]
    stopped = result_of(items, graph, [], tmp_path, threads=1, quick=True, time_limit=0.01)
    assert (stopped["note"], stopped["points"]) == ("stopped after 0 s", [])
    earlier = [{"method": graph.name, "items": N // 2, "build_seconds": 3000.0}]
    file = next(tmp_path.iterdir())
    file.unlink()
    # twice the items and 1.1 times the logarithm: 6,602 s
    assert result_of(items, graph, earlier, tmp_path, 1, True)["note"] == "not built: would take about 110 min"


def test_a_graphs_time_is_told_from_the_largest_smaller_one() -> None:
    graph = BY_NAME["faiss IndexHNSWFlat"]
    earlier = [{"method": graph.name, "items": 1000, "build_seconds": 6.0}]
    # ten times the items, and four thirds the logarithm: 6 s * 40 / 3
    assert expected_build(graph, 10_000, earlier) == pytest.approx(80.0)
    assert expected_build(graph, 1000, earlier) is None
    assert expected_build(BY_NAME["faiss IndexFlatIP"], 10_000, earlier) is None


def test_knobs_are_combined_and_lists_grow_with_the_root_of_the_items() -> None:
    assert grid(a=(1, 2), b=(3,)) == [{"a": 1, "b": 3}, {"a": 2, "b": 3}]
    assert [lists_for(n) for n in (1, 70_000, 3_258_200)] == [1, 1058, 2048]


def figure(value: float) -> dict[str, float]:
    return {"value": value, "low": value - 0.005, "high": value + 0.005, "n": 256}


def result(items: int, method: str, *points: tuple[str, float, float], note: str = "") -> dict[str, object]:
    """A method's result; a point is its setting, its recall and its milliseconds."""
    return {
        "items": items, "method": method, "note": note, "build_seconds": 2.0, "bytes": 5_000_000, "peak_bytes": 10**9,
        "points": [
            {
                "setting": {}, "words": words, "recall": figure(0.8 if "in category" in method else value),
                "recall_in_category": figure(value) if "in category" in method else None,
                "single": {"milliseconds": ms, "n": 100, "threads": 1},
                "batch": {"queries_per_second": 2000 / ms, "n": 256}, "core_share": 0.75,
            }
            for words, value, ms in points
        ],
    }  # fmt: skip


MACHINE = {
    "date": "2026-01-02", "cores": 2, "processor": "A <processor>", "memory_bytes": 2**34, "load_at_start": 0.1,
    "threads": 2, "python": "3.11", "faiss": "1", "usearch": "2", "numpy": "2", "encoder": "ab" * 32,
}  # fmt: skip
RESULTS = [
    result(325_820, "Fashion-16, in category", ("rerank 100", 0.97, 0.1), ("rerank 300", 0.992, 0.25)),
    result(
        325_820, "faiss IndexBinaryFlat", ("rerank 0", 0.5, 1.0), ("rerank 1000", 0.98, 1.5), ("rerank 3000", 0.995, 4)
    ),
    result(325_820, "usearch, i8", ("expansion_search 64", 0.99, 0.2)),
    result(325_820, "faiss IndexLSH", ("rerank 1000", 0.9, 3.0)),
    result(3_258_200, "Fashion-16, in category", ("rerank 300", 0.991, 0.75)),
    result(3_258_200, "usearch, i8", note="not built: would take about 9 min"),
]


def test_the_aims_are_judged_by_the_fastest_points_of_enough_recall() -> None:
    aims = report.document(RESULTS, MACHINE)["aims"]
    # the lower of two recalls; 1.0 / 0.25 ms alone, 4 / 0.25 ms re-ranked, and 0.75 / 0.25 ms for ten times the items
    expected = [(0.991, True), (4.0, False), (16.0, True), (3.0, True)]
    assert [(round(aim["value"], 6), aim["reached"]) for aim in aims] == expected


def test_where_ours_is_too_coarse_ratios_are_told_at_its_best_recall_and_no_aim_is_reached() -> None:
    results = [
        result(325_820, "Fashion-16, in category", ("rerank 600", 0.987, 0.1)),
        result(325_820, "faiss IndexBinaryFlat", ("rerank 0", 0.5, 0.9), ("rerank 600", 0.986, 1.0)),
    ]
    aims = report.document(results, MACHINE)["aims"]
    assert [(round(aim["value"], 6), aim["reached"]) for aim in aims] == [(0.987, False), (9.0, False), (10.0, False)]
    assert "0.985" in aims[1]["aim"]
    assert report.document(RESULTS[1:4], MACHINE)["aims"] == []


def test_the_page_says_where_a_peer_wins_what_is_too_coarse_and_what_was_not_built() -> None:
    page = report.markdown(report.document(RESULTS, MACHINE))
    assert "| faiss IndexBinaryFlat | rerank 3000 | 0.995 (0.990–1.000) | 4.00 | 16.0 times faster |" in page
    assert "| usearch, i8 | expansion_search 64 | 0.990 (0.985–0.995) | 0.20 | **1.2 times slower** |" in page
    assert "**peers that are faster**, one query at a time: usearch, i8 (1.2 times)." in page
    assert "a thread had 75% of a core to itself" in page
    assert "faiss IndexLSH reaches 0.900 at most (3.00 ms)." in page
    assert "usearch, i8: not built: would take about 9 min." in page
    assert "Fashion-16, in category: no peer is faster, one query at a time." in page  # at the larger size


def test_the_page_tells_settings_by_bits_and_buckets_and_what_a_peer_as_kernel_would_cost() -> None:
    graph = "faiss IndexHNSWFlat, in category"
    results = [
        result(
            70_000, "Fashion-16, in category", ("defaults", 0.999, 0.2), ("rerank 100", 0.98, 0.1),
            ("rerank 300", 0.992, 0.15), ("n_probes 16", 0.9, 0.3), ("n_probes 64", 0.97, 0.5),
        ),
        result(70_000, "Fashion-16, in category, 256 bits", ("rerank 200", 0.95, 0.1), ("rerank 1200", 0.99, 0.25)),
        result(70_000, graph, ("efSearch 20", 0.95, 0.01), ("efSearch 80", 0.995, 0.1)) | {"build_seconds": 9.0},
        result(325_820, "Fashion-16, in category", ("rerank 300", 0.992, 0.25)),
        result(325_820, graph, ("efSearch 80", 0.92, 0.1)),
    ]  # fmt: skip
    made = report.document(results, MACHINE)
    assert [point["method"] for point in made["other_lengths"]] == ["Fashion-16, in category, 256 bits"] * 2
    page = report.markdown(made)
    rows = [line for line in page.splitlines() if line.startswith("| 70,000")]
    assert rows == [
        "| 70,000 | 512 bits, all codes | rerank 300 | 0.992 (0.987–0.997) | 0.15 | 5 |",
        "| 70,000 | 512 bits, some buckets | n_probes 64 | 0.970 (0.965–0.975) | 0.50 | 5 |",
        "| 70,000 | 256 bits, all codes | rerank 1200 | 0.990 (0.985–0.995) | 0.25 | 5 |",
        "| 70,000 | **as it is** |  | 0.999 (0.994–1.004) | 0.20 | 5 |",
    ]
    assert (
        f"- 70,000 items, {graph}: ours is **1.5 times slower**; it takes 1.0 times the memory and 4.5 times as long "
        "to build."
    ) in page
    assert f"- 325,820 items, {graph}: its recall ends at 0.920 with the settings that were tried." in page
    assert "256 bits" not in page.split("## 70,000 items")[1]  # it competes with nobody
    assert "Could a peer" not in report.markdown(report.document(RESULTS, MACHINE))


def test_page_points_and_pictures_are_written_together(tmp_path: Path) -> None:
    report.write(report.document(RESULTS, MACHINE), tmp_path)
    kept = json.loads((tmp_path / "peers.json").read_text())
    assert len(points_of(kept, 325_820)) == 7 and len(points_of(kept, 3_258_200)) == 1
    assert "peers-325820.svg" in (tmp_path / "peers.md").read_text()
    assert {path.name for path in tmp_path.glob("*.svg")} == {"peers-325820.svg", "peers-3258200.svg"}


def test_a_points_recall_is_that_of_what_was_searched_and_its_speed_the_inverse_of_its_time() -> None:
    row = points_of(report.document(RESULTS, MACHINE), 325_820).iloc[1]
    assert (row["recall"], row["everywhere"], row["queries_per_second"]) == (0.992, 0.8, 4000.0)
    assert row["batch_queries_per_second"] == 8000.0
    assert list(points_of({"points": []}, 1).columns)[:2] == ["method", "setting"]


def test_a_point_is_on_the_front_unless_another_is_as_good_in_both_and_better_in_one() -> None:
    points = pd.DataFrame(
        {"recall": [0.5, 0.9, 0.9, 0.8, 1.0, 1.0], "queries_per_second": [100.0, 50.0, 40.0, 45.0, 10.0, 10.0]}
    )
    assert pareto(points).tolist() == [True, True, False, False, True, True]


def test_the_chart_has_a_line_a_method_ours_thick_and_the_front_dotted() -> None:
    points = points_of(report.document(RESULTS, MACHINE), 325_820)
    chart = recall_speed(points)
    front, ours, flat, *_ = chart.data
    assert (front.name, front.line.dash) == ("best there is", "dot")
    # what ours, usearch, ours again and BinaryFlat's best miss of all neighbours
    np.testing.assert_allclose(front.x, [0.03, 0.01, 0.008, 0.005])
    assert ours.name == "Fashion-16, in category" and ours.line.width > flat.line.width
    np.testing.assert_allclose(flat.x, [0.5, 0.02, 0.005])
    assert "rerank 3000" in flat.hovertext[2] and "recall 99.5%" in flat.hovertext[2]
    assert chart.layout.yaxis.type == chart.layout.xaxis.type == "log"
    assert list(chart.layout.xaxis.ticktext) == ["50 %", "80 %", "95 %", "99 %", "99.8 %", "100 %"]
    assert len(recall_speed(points[:0]).data) == 1


def test_a_setting_that_another_of_its_method_beats_is_not_drawn() -> None:
    results = [result(70_000, "faiss IndexLSH", ("slow", 0.9, 2.0), ("fast", 0.95, 1.0), ("sure", 1.0, 4.0))]
    points = points_of(report.document(results, MACHINE), 70_000)
    line = recall_speed(points).data[1]
    np.testing.assert_allclose(line.x, [0.05, LEAST_MISSED])
    assert line.name == "IndexLSH"


def test_the_picture_names_every_method_and_is_well_formed() -> None:
    points = points_of(report.document(RESULTS, MACHINE), 325_820)
    points.loc[0, "method"] = "<other> & more"
    root = ElementTree.fromstring(recall_speed_svg(points, "325,820 items"))
    words = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"<other> & more", "faiss IndexBinaryFlat", "usearch, i8", "best there is", "325,820 items"} <= set(words)
    assert len(list(root.iter("{http://www.w3.org/2000/svg}circle"))) == 7 + 5  # points, and a sign for each method
