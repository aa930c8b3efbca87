"""The comparison as docs/peers.md, with its pictures, and as docs/peers.json, which the Metrics page reads."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from experiments.peers.codes import BinaryFlat
from experiments.peers.methods import Direct, InCategory, LongCodes, ShortCodes
from experiments.peers.picture import recall_speed_svg
from fashion16.evaluation.peers import GOOD, OURS, fastest, points_of
from fashion16.files.atomic import replacing
from fashion16.search.index import RERANK, RERANK_SHARE, SCAN_LIMIT
from fashion16.search.partition import ITEMS_PER_BUCKET

IN_CATEGORY, DIRECT, FLAT = InCategory.name, Direct.name, BinaryFlat.name
# ours with codes of another length: they tell where the default comes from, and compete with nobody
OTHER_LENGTHS = (ShortCodes.name, LongCodes.name)
PAPERS, LARGEST = 325_820, 3_258_200

Result = dict[str, Any]


def line(result: Result) -> str:
    """One result as a line to look at while the others are measured."""
    best = max(
        (p["recall_in_category"] or p["recall"] for p in result["points"]), key=lambda r: r["value"], default=None
    )
    words = f"{result['items']:>9,}  {result['method']:<28}"
    if best:
        soonest = min(point["single"]["milliseconds"] for point in result["points"])
        words += f" built in {result['build_seconds']:6.1f} s, from {soonest:8.3f} ms, recall to {best['value']:.3f}"
    return words + (f" {result['note']}" if result["note"] else "")


def document(results: list[Result], machine: dict[str, Any]) -> dict[str, Any]:
    """All points, what is missing and why, whether the aims are reached, and the machine.

    The points of our search with codes of other lengths lie apart, as `other_lengths`.
    """
    points = [
        {"items": result["items"], "method": result["method"], **point}
        | {name: result[name] for name in ("build_seconds", "bytes", "peak_bytes")}
        for result in results
        for point in result["points"]
    ]
    apart = [point for point in points if point["method"] in OTHER_LENGTHS]
    points = [point for point in points if point["method"] not in OTHER_LENGTHS]
    notes = [{name: r[name] for name in ("items", "method", "note")} for r in results if r["note"]]
    made = {"machine": machine, "points": points, "other_lengths": apart, "notes": notes}
    return made | {"aims": aims(made)}


def aims(made: dict[str, Any]) -> list[dict[str, Any]]:
    """What the search is to reach, by how much it does, and whether; what cannot be told yet is left out.

    Where ours never has the recall that is asked for, the ratios are told at the highest that it has, and count as not
    reached.
    """
    paper, large = points_of(made, PAPERS), points_of(made, LARGEST)
    if not (paper["method"] == IN_CATEGORY).any():
        return []
    best = min(float(f.loc[f["method"] == IN_CATEGORY, "recall"].max()) for f in (paper, large) if len(f))
    level = GOOD if best >= GOOD else math.floor(200 * best) / 200
    found = [_aim(f"in category: a recall of {GOOD} at every size", best, best >= GOOD)]

    def told(what: str, theirs: pd.Series | None, ours: pd.Series | None, reached: Callable[[float], bool]) -> None:
        if theirs is not None and ours is not None:
            ratio = float(theirs["milliseconds"] / ours["milliseconds"])
            found.append(_aim(what, ratio, level == GOOD and reached(ratio)))

    ours, flat = _of(fastest(paper, level), IN_CATEGORY), _of(fastest(paper, level), FLAT)
    alone = _of(paper[paper["setting"] == "rerank 0"], FLAT)
    at = f"at {PAPERS:,} items and a recall of {level}"
    coarse = "" if alone is None else f" alone, whose recall is {alone['recall']:.2f}"
    told(f"in category {at}: at least 8 times faster than {FLAT}{coarse}", alone, ours, lambda ratio: ratio >= 8)
    told(f"the same, re-ranked to a recall of {level}: at least 8 times faster", flat, ours, lambda ratio: ratio >= 8)
    many = _of(fastest(large, level), IN_CATEGORY)
    told(
        f"in category, {LARGEST:,} items against {PAPERS:,}, at a recall of {level}: at most 4 times the time",
        many,
        ours,
        lambda ratio: ratio <= 4,
    )
    return found


def _threads(n: int) -> str:
    return (
        "one thread, and so do many at once" if n == 1 else f"one thread or {n}, the faster way; many at once take {n}"
    )


def _core_share(made: dict[str, Any]) -> float:
    """How much of a core a single thread had, in the middle of all points: 1 on a quiet machine."""
    return statistics.median(point["core_share"] for point in made["points"])


def _aim(what: str, value: float, reached: bool) -> dict[str, Any]:
    return {"aim": what, "value": value, "reached": reached}


def _of(frame: pd.DataFrame, method: str) -> pd.Series | None:
    its = frame[frame["method"] == method]
    return its.iloc[0] if len(its) else None


def write(made: dict[str, Any], folder: Path) -> None:
    """The page, the points and a picture for each size, in the folder."""
    for items in sizes(made):
        with replacing(folder / f"peers-{items}.svg") as partial:
            partial.write_text(recall_speed_svg(points_of(made, items), f"{items:,} items"))
    with replacing(folder / "peers.json") as partial:
        partial.write_text(json.dumps(made, indent=1) + "\n")
    with replacing(folder / "peers.md") as partial:
        partial.write_text(markdown(made))


def sizes(made: dict[str, Any]) -> list[int]:
    """The numbers of items that were measured, the smallest first."""
    return sorted({point["items"] for point in made["points"]})


def markdown(made: dict[str, Any]) -> str:
    """The page."""
    machine = made["machine"]
    parts = [
        "# Our search beside what else could be used",
        "Made by `make bench-peers`; change nothing here by hand. All methods search the same embeddings of 256 "
        "values; the binary indexes compare our codes of 512 bits. Recall is recall@20 against exact cosine of float32 "
        "embeddings, with its 95 % interval. “In category” is measured against the exact neighbours within the "
        "category that the head predicts for the query, all others against those among all items. Items are the "
        "70,000 pictures of Fashion-MNIST and queries distorted copies of some of them; larger collections are "
        "**synthetic**: real embeddings, each changed as a real distortion changes one. A single query takes "
        f"{_threads(machine['threads'])}.",
        f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB, load {machine['load_at_start']} at the start, and a thread "
        f"had {_core_share(made):.0%} of a core to itself, in the median; Python "
        f"{machine['python']}, faiss {machine['faiss']}, usearch {machine['usearch']}, numpy {machine['numpy']}; "
        f"encoder `{machine['encoder'][:12]}`.",
    ]
    if made["aims"]:
        rows = [(aim["aim"], f"{aim['value']:.2f}", "yes" if aim["reached"] else "**no**") for aim in made["aims"]]
        parts += ["## Aims", _table(("aim", "measured", "reached"), rows)]
    parts += defaults(made) + kernels(made)
    for items in sizes(made):
        parts += _size(made, items)
    return "\n\n".join(parts) + "\n"


def _size(made: dict[str, Any], items: int) -> list[str]:
    points = points_of(made, items)
    best = fastest(points)
    parts = [f"## {items:,} items", f"![Recall against speed](peers-{items}.svg)"]
    ours = _of(best, IN_CATEGORY)
    rows = [
        (
            row["method"], row["setting"], _share(row), f"{row['milliseconds']:.2f}",
            "" if ours is None or row["method"] == IN_CATEGORY else _times(row["milliseconds"], ours["milliseconds"]),
            _rate(row["batch_queries_per_second"]), f"{row['build_seconds']:.1f}", f"{row['bytes'] / 1e6:,.0f}",
        )
        for row in best.to_dict("records")
    ]  # fmt: skip
    n = int(points["n"].max())
    at_once = f"queries/s, {n} at once"
    head = ("method", "setting", "recall@20", "ms", "ours in category is", at_once, "build, s", "MB")
    parts += [f"The fastest point of each method with a recall of at least {GOOD}:", _table(head, rows)]
    few = points[~points["method"].isin(best["method"])].sort_values("recall").drop_duplicates("method", keep="last")
    missing = [
        f"- {row['method']} reaches {row['recall']:.3f} at most ({row['milliseconds']:.2f} ms)."
        for row in few.to_dict("records")
    ]
    missing += [f"- {note['method']}: {note['note']}." for note in made["notes"] if note["items"] == items]
    if missing:
        parts += ["Not in this table:", "\n".join(missing)]
    parts += ["\n".join(f"- {words}" for words in verdicts(best))] if len(best) else []
    every = [
        (
            row["method"], row["setting"], _share(row), f"{row['everywhere']:.3f}", f"{row['milliseconds']:.2f}",
            _rate(row["batch_queries_per_second"]),
        )
        for row in points.to_dict("records")
    ]  # fmt: skip
    head = ("method", "setting", "recall@20", "against all items", "ms", at_once)
    peak = max(point["peak_bytes"] for point in made["points"] if point["items"] == items)
    parts.append(
        f"<details><summary>All points ({n} queries)</summary>\n\n{_table(head, every)}\n\n"
        f"Peak memory of one process: {peak / 1e9:.1f} GB.\n\n</details>"
    )
    return parts


def verdicts(best: pd.DataFrame) -> list[str]:
    """Where peers win and where none does, in sentences, from the fastest points of enough recall."""
    words = []
    ways = (("milliseconds", "one query at a time", False), ("batch_queries_per_second", "many at once", True))
    for name in (IN_CATEGORY, DIRECT):
        ours = _of(best, name)
        if ours is None:
            words.append(f"{name}: no setting reaches a recall of {GOOD}.")
            continue
        peers = best[~best["method"].str.startswith(OURS)]
        for column, way, more_is_better in ways:
            faster = peers[peers[column] > ours[column]] if more_is_better else peers[peers[column] < ours[column]]
            if not len(faster):
                words.append(f"{name}: no peer is faster, {way}.")
                continue
            named = [
                f"{row['method']} ({max(row[column], ours[column]) / min(row[column], ours[column]):.1f} times)"
                for row in faster.to_dict("records")
            ]
            words.append(f"{name}: **peers that are faster**, {way}: {', '.join(named)}.")
    return words


def defaults(made: dict[str, Any]) -> list[str]:
    """Where the settings of a search come from: what others of ours take to find as much."""
    lengths = {"points": made["points"] + made["other_lengths"]}
    rows = []
    for items in sizes(made):
        points = points_of(lengths, items)
        ours = points[points["method"].isin([IN_CATEGORY, *OTHER_LENGTHS])].copy()
        ours["way"] = [
            f"{length}, {'some buckets' if 'n_probes' in setting else 'all codes'}"
            for length, setting in zip(ours["method"].map(_length), ours["setting"], strict=True)
        ]
        for way, its in ours.groupby("way", sort=False):
            good = its[its["recall"] >= GOOD].sort_values("milliseconds")
            shown = good if len(good) else its.sort_values("recall", ascending=False)
            row = shown.iloc[0].to_dict()
            cells = (row["setting"], _share(row), f"{row['milliseconds']:.2f}", f"{row['bytes'] / 1e6:,.0f}")
            rows.append((f"{items:,}", str(way), *cells))
        usual = ours[(ours["method"] == IN_CATEGORY) & (ours["setting"] == "defaults")]
        rows += [
            (f"{items:,}", "**as it is**", "", _share(row), f"{row['milliseconds']:.2f}", f"{row['bytes'] / 1e6:,.0f}")
            for row in usual.to_dict("records")
        ]
    if not rows:
        return []
    return [
        "## Where our settings come from",
        f"The fastest setting with a recall of at least {GOOD} in the category, or the best there is: by the length of "
        "the codes, and by whether all codes of the category are compared or those of some buckets. `rerank` is how "
        f"many of the nearest codes are ranked by cosine: at least {RERANK}, and one in {1 / RERANK_SHARE:.0f} of a "
        "large category, because pictures that are new to it need more of them than the distorted copies of this page "
        f"(docs/reproduction.md). The buckets themselves, of about {ITEMS_PER_BUCKET} pictures, do not come from a "
        f"curve: up to {SCAN_LIMIT:,} codes of a category all are compared, whatever their bucket. `python -m "
        "benchmarks.index_search` prints whole curves, by category size.",
        _table(("items", "codes", "setting", "recall@20", "ms", "MB"), rows),
    ]


def _length(method: str) -> str:
    return method.removeprefix(IN_CATEGORY).strip(", ") or "512 bits"


def kernels(made: dict[str, Any]) -> list[str]:
    """What would be won and paid if a peer that searches one category were the kernel of our search."""
    lines = []
    for items in sizes(made):
        points = points_of(made, items)
        best = fastest(points)
        ours = _of(best, IN_CATEGORY)
        its = points[points["method"].str.endswith("in category") & (points["method"] != IN_CATEGORY)]
        for name in dict.fromkeys(its["method"]) if ours is not None else ():
            theirs = _of(best, name)
            if theirs is None:
                most = its.loc[its["method"] == name, "recall"].max()
                lines.append(
                    f"- {items:,} items, {name}: its recall ends at {most:.3f} with the settings that were tried."
                )
                continue
            speed = _times(float(theirs["milliseconds"]), float(ours["milliseconds"]))
            lines.append(
                f"- {items:,} items, {name}: ours is {speed}; it takes {theirs['bytes'] / ours['bytes']:.1f} times the "
                f"memory and {theirs['build_seconds'] / ours['build_seconds']:.1f} times as long to build."
            )
    if not lines:
        return []
    return [
        "## Could a peer be our kernel?",
        "Peers that search one category are what our search would be with their graphs instead of our codes, at a "
        f"recall of at least {GOOD}:",
        "\n".join(lines),
        "Ours stays. Every correction takes a picture out of one category and puts it into another, and nothing can be "
        "taken out of faiss's graph; a graph has no buckets to look into; and in the synthetic collections, where "
        "copies of a picture lie close together, a graph misses neighbours even when it searches long. Of many queries "
        "at once a graph's threads share all of the work, ours the comparing of codes alone; the app asks one at a "
        "time.",
    ]


def _times(theirs: float, ours: float) -> str:
    return f"{theirs / ours:.1f} times faster" if theirs >= ours else f"**{ours / theirs:.1f} times slower**"


def _share(row: dict[Any, Any]) -> str:
    return f"{row['recall']:.3f} ({row['low']:.3f}–{row['high']:.3f})"


def _rate(value: float) -> str:
    return f"{value:,.0f}" if value == value else "–"


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
