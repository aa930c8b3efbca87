"""Our search beside what an engineer would pick instead: same embeddings, same codes, one run.

Writes docs/peers.md, peers.json and peers.svg. Each method runs in a process of its own, and what it found is kept in
data/peers/: an interrupted run goes on where it was. Needs a quiet machine: where other programs want the cores,
threads wait for each other, and times mean nothing. `--quick` takes 70,000 items alone and writes beside its results.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import hashlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import faiss
import numpy as np
import usearch
from threadpoolctl import threadpool_limits

from experiments.peers import report
from experiments.peers.items import Items, prepared
from experiments.peers.knobs import Setting
from experiments.peers.methods import METHODS, Method, source_of
from experiments.synthetic import Ids
from fashion16.collections.workspace import Workspace
from fashion16.estimate import Figure
from fashion16.files.atomic import replacing
from fashion16.machine import cores
from fashion16.search.encoder import EncoderCard
from fashion16.search.index import K

SIZES = (70_000, 325_820, 3_258_200)  # all real ones, the paper's number, ten times that
QUERIES, SINGLES = 256, 100  # at once, and one at a time
QUICK_QUERIES = 50
SINGLES_LIMIT = 8.0  # seconds for the single queries of one setting; slow methods are asked fewer
BUILD_LIMIT = 240.0  # seconds; a method that would take longer is not built
TIME_LIMIT = 600  # seconds; a method that takes longer is stopped
CODE = 2  # of the measurement itself; another version measures again


def main(arguments: list[str] | None = None) -> None:
    """Measure every method at every size that is not measured yet, then write the pages."""
    parser = argparse.ArgumentParser(prog="python -m experiments.peers", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="70,000 items and 50 queries, in about two minutes")
    parser.add_argument("--sizes", type=int, nargs="+", help="how many items")
    parser.add_argument("--threads", type=int, default=2, help="threads of a search and of a build")
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "METHOD", "FILE"), help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    if chosen.one:
        its_folder, name, file = chosen.one
        method = next(kind for kind in METHODS if kind.name == name)
        _measure_one(method, Items(Path(its_folder)), Path(file), chosen.threads, chosen.quick)
        return
    n_queries = QUICK_QUERIES if chosen.quick else QUERIES
    workspace = Workspace()
    folder = workspace.peers_folder / ("quick" if chosen.quick else "full")
    if (load := os.getloadavg()[0]) > 0.5 * cores():
        print(f"The machine is busy (load {load:.1f} on {cores()} cores): its times mean little.", flush=True)
    faiss.omp_set_num_threads(chosen.threads)
    sizes = chosen.sizes or (SIZES[:1] if chosen.quick else SIZES)
    results: list[dict[str, Any]] = []
    for n in sizes:
        items = prepared(workspace, n, n_queries, folder / str(n), _said)
        for method in METHODS:
            results.append(result(items, method, results, folder, chosen.threads, chosen.quick))
            _said(report.line(results[-1]))
    machine = _machine(workspace, chosen.threads, load)
    document = report.document(results, machine)
    out = folder if chosen.quick else workspace.root / "docs"
    report.write(document, out)
    print(f"Written: {out / 'peers.md'}, peers.json and pictures")


def result(
    items: Items,
    method: type[Method],
    earlier: list[dict[str, Any]],
    folder: Path,
    threads: int,
    quick: bool,
    time_limit: float = TIME_LIMIT,
) -> dict[str, Any]:
    """What the folder keeps of the method at this size, measured by a process of its own where nothing fits.

    Args:
        earlier: the results so far, of smaller sizes among them.
        time_limit: seconds after which the process is stopped; what it has measured until then counts.
    """
    words = "".join(letter if letter.isalnum() else "-" for letter in method.name.lower())
    file = folder / f"{items.n}-{words}.json"
    key = key_of(items, method, threads, quick)
    kept = json.loads(file.read_text()) if file.is_file() else {}
    if kept.get("key") == key and (kept["complete"] or kept["note"]):
        return dict(kept)
    file.unlink(missing_ok=True)
    made = {"key": key, "items": items.n, "method": method.name, "points": [], "complete": False, "note": ""}
    expected = expected_build(method, items.n, earlier)
    if expected is not None and expected > BUILD_LIMIT:
        made["note"] = f"not built: would take about {expected / 60:.0f} min"
    else:
        command = [
            sys.executable,
            "-m",
            "experiments.peers",
            "--one",
            str(items.folder),
            method.name,
            str(file),
        ]
        command += ["--threads", str(threads)] + ["--quick"] * quick
        try:
            done = subprocess.run(command, timeout=time_limit, stderr=subprocess.PIPE, text=True)
            if done.returncode:
                last = (done.stderr.strip().splitlines() or ["no message"])[-1]
                made["note"] = f"ended with {done.returncode}: {last}"
        except subprocess.TimeoutExpired:
            made["note"] = f"stopped after {time_limit:.0f} s"
        made = (json.loads(file.read_text()) if file.is_file() else made) | {"key": key, "note": made["note"]}
    if made["note"].startswith("ended"):
        file.unlink(missing_ok=True)  # the next run tries again
    else:
        _write(file, made)
    return made


def key_of(items: Items, method: type[Method], threads: int, quick: bool) -> str:
    """Names all that a result depends on but the machine."""
    facts = [
        CODE, (items.folder / "items.json").read_text(), method.name, source_of(method), threads, quick,
        faiss.__version__, usearch.__version__, np.__version__,
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:16]


def expected_build(method: type[Method], n: int, earlier: list[dict[str, Any]]) -> float | None:
    """Seconds that a graph of n items will take to build, from the largest smaller one; None where none is known.

    An item is put into a graph in a time that grows as the logarithm of those that are in it.
    """
    if not method.slow_build:
        return None
    known = [r for r in earlier if r["method"] == method.name and r["items"] < n and r.get("build_seconds")]
    if not known:
        return None
    last = max(known, key=lambda result: result["items"])
    m = last["items"]
    return float(last["build_seconds"] * (n * np.log(n)) / (m * np.log(m)))


def _measure_one(method: type[Method], items: Items, file: Path, threads: int, quick: bool) -> None:
    """Build the method and measure it with each of its settings; the file is written after each."""
    faiss.omp_set_num_threads(threads)
    start = perf_counter()
    built = method(items, threads)  # type: ignore[call-arg]
    build_seconds = perf_counter() - start
    gc.collect()
    result = {
        "items": items.n, "method": method.name, "build_seconds": build_seconds, "bytes": built.bytes(),
        "points": [], "complete": False, "note": "",
    }  # fmt: skip
    for setting in method.settings(items.n):
        limit = 1.0 if quick else SINGLES_LIMIT
        result["points"].append(measured(built, items, setting, threads, SINGLES, limit))  # type: ignore[attr-defined]
        result["peak_bytes"] = peak_memory()
        _write(file, result)
    _write(file, result | {"complete": True})


def peak_memory() -> int:
    """The most memory that this process ever had, in bytes."""
    try:  # getrusage's on Linux may be that of the process which started this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def measured(
    method: Method, items: Items, setting: Setting, threads: int, singles: int, limit: float
) -> dict[str, Any]:
    """Recall and speed of a built method with one setting.

    Single queries are asked with one thread and with all, and the faster way counts: what a thread gains depends on
    the method. A way that takes longer than `limit` seconds is asked fewer queries, at least three. `core_share` is how
    much of a core one thread got meanwhile: where it is well below 1, others wanted it too.
    """
    queries, categories = items.queries, items.query_categories
    nq = len(queries)
    best: dict[str, Any] = {}
    core_share = 0.0
    found = np.full((nq, K), -1, np.int64)
    asked = 0
    for used in sorted({1, threads}):
        with _threads(used):
            times: list[float] = []
            method.search(queries[-1:], categories[-1:], K, **setting)  # lays out its memory
            cpu = process_time()
            for row in range(min(singles, nq)):
                start = perf_counter()
                found[row] = method.search(queries[row : row + 1], categories[row : row + 1], K, **setting)[0]
                times.append(perf_counter() - start)
                asked = max(asked, row + 1)
                if sum(times) > limit and len(times) >= 3:
                    break
            cpu = process_time() - cpu
        if used == 1:
            core_share = min(1.0, cpu / sum(times))
        milliseconds = 1000 * statistics.median(times)
        if not best or milliseconds < best["milliseconds"]:
            best = {"milliseconds": milliseconds, "n": len(times), "threads": used}
    batch = None
    if method.batches:
        with _threads(threads):
            found, times = _repeated(lambda: method.search(queries, categories, K, **setting))
        batch, asked = {"queries_per_second": nq / statistics.median(times), "n": nq}, nq
    in_category = recall(found[:asked], items.in_category[:asked]) if method.in_category else None
    return {
        "setting": setting,
        "words": ", ".join(f"{knob} {value}" for knob, value in setting.items()) or "defaults",
        "recall": vars(recall(found[:asked], items.everywhere[:asked])),
        "recall_in_category": in_category and vars(in_category),
        "single": best,
        "core_share": core_share,
        "batch": batch,
    }


def recall(found: Ids, truth: Ids) -> Figure:
    """The share of the true ids (nq, k) that were found (nq, k), -1 being none, as the mean of the queries' shares."""
    shares = [
        len(set(its.tolist()) & (expected := set(true[true >= 0].tolist()))) / max(1, len(expected))
        for its, true in zip(found, truth, strict=True)
    ]
    return Figure.mean(np.array(shares))


def _repeated(search: Callable[[], Ids]) -> tuple[Ids, list[float]]:
    times: list[float] = []
    while not times or (sum(times) < 0.3 and len(times) < 5):
        start = perf_counter()
        found = search()
        times.append(perf_counter() - start)
    return found, times


class _threads:
    """Limit the threads of faiss and of BLAS within a block."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __enter__(self) -> None:
        self._blas = threadpool_limits(self._n, user_api="blas")
        faiss.omp_set_num_threads(self._n)

    def __exit__(self, *_: object) -> None:
        self._blas.restore_original_limits()


def _machine(workspace: Workspace, threads: int, load: float) -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    if (file := Path("/proc/cpuinfo")).is_file():
        names = [
            line.split(":", 1)[1].strip() for line in file.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "cores": cores(),
        "processor": model,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "load_at_start": round(load, 2),
        "threads": threads,
        "python": platform.python_version(),
        "faiss": f"{faiss.__version__} ({faiss.get_compile_options().strip()})",
        "usearch": usearch.__version__,
        "numpy": np.__version__,
        "encoder": EncoderCard.read(workspace.encoder_folder / "encoder.json").digest,
    }


def _write(file: Path, result: dict[str, Any]) -> None:
    with replacing(file) as partial:
        partial.write_text(json.dumps(result, indent=1) + "\n")


def _said(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    main()
