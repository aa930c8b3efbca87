"""`kill -9` at any moment, and eight processes at once: what was acknowledged is there, and nothing is half there."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import Correction, ImportedItem
from fashion16.collections.indexing import rewrite_index
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from tests.catalogue import test_postgresql
from tests.collections.test_opened_decisions import assert_agree
from tests.conftest import REPOSITORY

url = test_postgresql.url  # a real server

KILLS, KILLS_OF_CLIENTS = 200, 40  # with --all; else a tenth
ITEMS_OF_RIVALS = 500  # likewise
PROCESSES = 8

# Imports its modules once, then forks a process for each line of its input, which corrects as fast as it can with that
# number as its seed. A line of output for each process's number, for what each transaction wrote, and for the end.
RESTLESS = """
import json, os, random, sys
from dataclasses import asdict
from fashion16.catalogue.catalogue import Catalogue
from fashion16.catalogue.rows import Change
where = json.loads(sys.argv[1])

def work(seed):
    rng = random.Random(seed)
    catalogue = Catalogue(*where)
    while True:
        item = catalogue.item(rng.randint(1, 400))
        seen = dict(item_id=item.id, who=f"process {seed}", version=item.version)
        match rng.randrange(6):
            case 0 | 1:
                made = [catalogue.correct(label=rng.choice(LABELS), **seen)]
            case 2:
                made = [catalogue.keep(**seen)]
            case 3:
                made = [catalogue.exclude(**seen) if item.status == "active" else catalogue.include(**seen)]
            case 4:
                items = catalogue.items(rng.sample(range(1, 401), 5))
                changes = [Change(each.id, each.version, label=rng.choice(LABELS)) for each in items]
                made = catalogue.decide_all(changes, seen["who"]).corrections
            case 5:
                last = catalogue.last_undoable(seen["who"])
                made = catalogue.undo(last.id, seen["who"]).corrections if last else []
        os.write(1, (json.dumps([asdict(row) for row in made]) + chr(10)).encode())

LABELS = ["Coat", "Bag", "Dress", "Hat", "Cap"]
for line in sys.stdin:
    child = os.fork()
    if not child:
        work(int(line))
    os.write(1, b"%d\\n" % child)
    os.waitpid(child, 0)
    os.write(1, b"ended\\n")
"""

# Eight processes that correct the same items at once. A line of output for each attempt: the item, who, and the label
# that it got; or, where somebody was faster, whose label is there.
RIVALS = """
import json, os, sys
from fashion16.catalogue.catalogue import Catalogue
from fashion16.errors import StaleItemError
where, first_look, n, processes = json.loads(sys.argv[1])

def work(catalogue, who):
    seen = catalogue.versions(range(1, n + 1))
    yield
    for item_id in seen:
        version = seen[item_id] if first_look else catalogue.item(item_id).version
        try:
            catalogue.correct(item_id, f"Label of {who}", who, version)
            said = [item_id, who, True, who, ""]
        except StaleItemError as error:
            said = [item_id, who, False, error.changed_by, error.current_label]
        os.write(1, (json.dumps(said) + chr(10)).encode())

ready, go = os.pipe(), os.pipe()
for number in range(processes):
    if not os.fork():
        with Catalogue(*where) as catalogue:
            steps = work(catalogue, f"person {number}")
            next(steps)
            os.write(ready[1], b".")
            os.close(go[1])
            os.read(go[0], 1)  # until it is closed
            list(steps)
        os._exit(0)
for _ in range(processes):
    os.read(ready[0], 1)
os.close(go[1])
sys.exit(sum(os.wait()[1] != 0 for _ in range(processes)))
"""


@dataclass
class Witness:
    """Follows a catalogue, and checks that its history leads from what each item was to what it is."""

    catalogue: Catalogue
    revision: int = 0
    standing: dict[int, tuple[str | None, str, bool, int]] = field(init=False)

    def __post_init__(self) -> None:
        self.standing = self._now()

    def _now(self) -> dict[int, tuple[str | None, str, bool, int]]:
        items = self.catalogue.items(range(1, self.catalogue.count() + 1))
        return {item.id: (item.label, item.status, item.decided, item.version) for item in items}

    def look(self) -> list[Correction]:
        """What is new; each row begins where the one before it ended, and the items are where the last one ends."""
        news = self.catalogue.corrections_since(self.revision)
        for row in news:
            *before, version = self.standing[row.item_id]
            assert before == [row.old_label, row.old_status, row.old_decided]
            self.standing[row.item_id] = (row.new_label, row.new_status, row.new_decided, version + 1)
            self.revision = row.id
        assert self._now() == self.standing
        return news


@contextmanager
def restless(where: list[str | None]) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", RESTLESS, json.dumps(where)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(60) == 0


def killed(process: subprocess.Popen[str], seed: int, after: int, delay: float) -> list[list[Correction]]:
    """What a process acknowledged before it was killed, after some transactions and some seconds."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write(f"{seed}\n")
    process.stdin.flush()
    child = int(process.stdout.readline())
    said = [process.stdout.readline() for _ in range(after)]
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    while (line := process.stdout.readline()) != "ended\n":
        said.append(line)
    return [[Correction(**row) for row in json.loads(line)] for line in said]


def kill_and_look(process: subprocess.Popen[str], witness: Witness, opened: Collection, n: int) -> tuple[int, int]:
    """Kill n processes; how many transactions were acknowledged, and how many were written but not acknowledged."""
    rng = random.Random(2019)
    n_acknowledged = n_silent = 0
    for seed in range(n):
        # a third of them while they open the catalogue or begin
        after = rng.choice([0, 1, rng.randint(2, 12)])
        acknowledged = killed(process, seed, after, rng.uniform(0, 0.06 if after == 0 else 0.012))
        with witness.catalogue.writing():
            pass  # whatever a server was still doing for the dead is done
        written = transactions(witness.look())
        # a press of Z with nothing to take back writes nothing
        acknowledged = [made for made in acknowledged if made]
        assert written[: len(acknowledged)] == acknowledged
        assert len(written) - len(acknowledged) <= 1
        n_acknowledged += len(acknowledged)
        n_silent += len(written) - len(acknowledged)
        opened.refresh()
        assert_agree(opened)
    return n_acknowledged, n_silent


def transactions(rows: list[Correction]) -> list[list[Correction]]:
    """Rows of history by the transaction that wrote them."""
    found: dict[int, list[Correction]] = defaultdict(list)
    for row in rows:
        found[row.batch or row.id].append(row)
    return list(found.values())


def test_after_many_kills_every_acknowledged_correction_is_there_and_none_is_half_there(
    small_workspace: Workspace, repeated: Callable[[int], int]
) -> None:
    kills = repeated(KILLS)
    path = small_workspace.collection().data_folder / "catalogue.sqlite"
    with closing(small_workspace.open()) as opened, restless([f"sqlite:///{path}"]) as process:
        n_acknowledged, n_silent = kill_and_look(process, Witness(opened.catalogue), opened, kills)
        assert n_acknowledged > kills
        rewrite_index(opened)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
    with closing(small_workspace.open()) as again:
        assert again.catalogue.revision() == again.revision
        assert_agree(again)


def test_after_kills_of_its_clients_a_server_has_every_acknowledged_correction(
    small_workspace: Workspace, url: str, repeated: Callable[[int], int]
) -> None:
    kills = repeated(KILLS_OF_CLIENTS)
    here = Workspace(small_workspace.root, url)
    with small_workspace.collection().catalogue() as original, here.collection().catalogue() as moved:
        moved.restore(original.items(range(1, 401)))
    with closing(here.open()) as opened, restless([url, DEFAULT_COLLECTION]) as process:
        n_acknowledged, _ = kill_and_look(process, Witness(opened.catalogue), opened, kills)
        assert n_acknowledged > kills
    with closing(here.open()) as again:
        assert_agree(again)


@pytest.mark.parametrize("first_look", [True, False], ids=["seen before", "seen just now"])
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_eight_processes_correct_the_same_items_and_each_conflict_is_told(
    tmp_path: Path, request: pytest.FixtureRequest, database: str, first_look: bool, repeated: Callable[[int], int]
) -> None:
    n_items = repeated(ITEMS_OF_RIVALS)
    where = (
        [f"sqlite:///{tmp_path / 'catalogue.sqlite'}", None]
        if database == "sqlite"
        else [request.getfixturevalue("url"), f"rivals {first_look}"]
    )
    with Catalogue(str(where[0]), where[1]) as catalogue:
        catalogue.add(ImportedItem(n, f"{n:064x}", "Coat", "train", "shop") for n in range(n_items))
        witness = Witness(catalogue)
        done = subprocess.run(
            [sys.executable, "-c", RIVALS, json.dumps([where, first_look, n_items, PROCESSES])],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert (done.returncode, done.stderr) == (0, "")
        attempts = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(attempts) == n_items * PROCESSES
        won = Counter((item_id, who) for item_id, who, won, *_ in attempts if won)
        told = [(item_id, who, by, label) for item_id, who, won, by, label in attempts if not won]
        assert won.total() + len(told) == n_items * PROCESSES
        # no update is lost: each that was won is in the history, once, and there is nothing else
        rows = witness.look()
        assert Counter((row.item_id, row.who) for row in rows) == won
        if first_look:  # all had seen version 0, so one of them wins
            assert Counter(item_id for item_id, _ in won) == dict.fromkeys(range(1, n_items + 1), 1)
        assert len(told) > 0
        # and who lost is told who won, and with what
        labels = {(row.item_id, row.who): row.new_label for row in rows}
        for item_id, who, by, label in told:
            assert by != who
            assert labels[item_id, by] == label
