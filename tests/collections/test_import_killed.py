"""`kill -9` at any moment, then the same again: every picture exactly once, none lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

from fashion16 import settings
from fashion16.collections.workspace import Workspace
from tests.conftest import REPOSITORY
from tests.pictures import SHOP, assert_exactly, assert_whole, bare_workspace, import_from, items_of, photo, tree

# Imports its modules once, then forks a process for each line of its input, which runs that line. A line of output for
# each process's number, for each progress, and for the end.
NURSERY = """
import os, sys
from pathlib import Path
from fashion16.collections import embeddings, importing
from fashion16.collections.importing import Source, import_source
from fashion16.collections.indexing import build_index
from fashion16.collections.workspace import Workspace
importing.BATCH, embeddings.CHUNK = 8, 16
def report(done, total): os.write(1, b"progress\\n")
for line in sys.stdin:
    child = os.fork()
    if not child:
        workspace = Workspace()
        exec(line)
        os._exit(0)
    os.write(1, b"%d\\n" % child)
    os.write(1, b"ended %d\\n" % os.waitpid(child, 0)[1])
"""


@contextmanager
def nursery(workspace: Workspace) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {settings.HOME.variable: str(workspace.root)}
    command = [sys.executable, "-c", NURSERY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


def run(process: subprocess.Popen[str], line: str, kill_after: int, delay: float) -> int:
    """Run a line in a process and kill it after some steps of progress and some seconds; its exit status."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    child = int(process.stdout.readline())
    for _ in range(kill_after):
        if (said := process.stdout.readline()) != "progress\n":
            return int(said.split()[1])
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    while (said := process.stdout.readline()) == "progress\n":
        pass
    return int(said.split()[1])


def test_an_import_killed_at_any_moment_has_every_picture_once_when_run_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(16)
    files = {f"Label {number % 7}/{number:03}.png": photo(number) for number in range(380)}
    # copies, which share a file, and large ones, which take long
    files |= {f"Copies/{number:03}.png": photo(number) for number in range(0, 380, 40)}
    files |= {f"Large/{number:03}.jpg": photo(number, 1400, 1100, "JPEG") for number in range(10)}
    heap, shop = tree(tmp_path / "heap", files), Workspace(tmp_path / "home")
    line = f"import_source(workspace.collection({SHOP!r}), Source(Path({str(heap)!r})), report)"
    at_each_kill: list[int] = []
    with nursery(shop) as process:
        for _ in range(14):
            status = run(process, line, int(rng.integers(0, 5)), float(rng.uniform(0, 0.004)))
            if status == 0:  # it was faster than we
                break
            assert status == signal.SIGKILL
            # at no moment is there an item without its picture
            assert_whole(shop, items_of(shop))
            at_each_kill.append(len(items_of(shop)))
        assert run(process, line, 1_000_000, 0) == 0
    # it went on where it was, and was killed on its way
    assert at_each_kill == sorted(at_each_kill)
    assert len(set(at_each_kill)) > 3
    assert_exactly(shop, files)
    assert import_from(shop, heap).unchanged == len(files)


def test_what_a_killed_import_left_half_written_does_no_harm(tmp_path: Path) -> None:
    files = {f"{number}.png": photo(number) for number in range(6)}
    heap, shop = tree(tmp_path / "heap", files), Workspace(tmp_path / "home")
    import_from(shop, heap)
    for path in [*shop.collection(SHOP).data_folder.rglob("*.png")]:
        half = path.with_name(f"{path.name}.0123abcd.partial")
        half.write_bytes(path.read_bytes()[:20])
        path.unlink()
    import_from(shop, heap)
    assert_exactly(shop, files)


def test_an_embedding_killed_at_any_moment_has_every_picture_when_run_again(tmp_path: Path) -> None:
    rng = np.random.default_rng(17)
    shop = bare_workspace(tmp_path / "home")
    heap = tree(tmp_path / "heap", {f"Label {n % 2}/{n:02}.png": photo(n) for n in range(60)})
    import_from(shop, heap)
    line = f"build_index(workspace.collection({SHOP!r}), progress=report)"
    with nursery(shop) as process:
        for kill_after in (0, 1, 2):
            assert run(process, line, kill_after, float(rng.uniform(0, 0.05))) == signal.SIGKILL
            assert not shop.collection(SHOP).index_file.exists()
        assert run(process, line, 1_000_000, 0) == 0
    assert not [path for path in shop.collection(SHOP).data_folder.iterdir() if path.suffix in (".partial", ".json")]
    with closing(shop.open(SHOP)) as opened:
        index = opened.searcher.index
        assert len(index) == 60
        for item_id in range(1, 61):
            answer = opened.find(opened.classify(opened.picture(item_id)), categories=index.categories, k=1)
            assert answer.results[0].id == item_id
            assert answer.results[0].similarity > 0.99
