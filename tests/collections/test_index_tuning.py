"""The index rehashed with other settings: items and unnamed settings stay, and a refusal changes nothing."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from typer.testing import CliRunner

from fashion16 import settings
from fashion16.catalogue.rows import ImportedItem
from fashion16.cli import app
from fashion16.collections.embeddings import active_embeddings
from fashion16.collections.indexing import build_index, check, retune, rewrite_index
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.errors import BusyError, DataError, MissingIndexError, TuningError
from fashion16.files.locks import only_one
from fashion16.labels.refitting import refit, swap
from fashion16.search.encoder import LiteNetwork
from fashion16.search.head import Head
from fashion16.search.hyperplanes import keys_of
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import IndexSettings, read_index, settings_in, write_index
from fashion16.search.partition import Tuning
from tests.conftest import REPOSITORY
from tests.fakes import unit_vectors

NAME = DEFAULT_COLLECTION
WIDE = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


def index_settings(workspace: Workspace) -> IndexSettings:
    return settings_in(workspace.collection(NAME).index_file)


def on_disk(workspace: Workspace) -> CategoryIndex:
    return read_index(workspace.collection(NAME).index_file)[0]


def everything(workspace: Workspace) -> dict[str, bytes]:
    """Head and index, byte by byte, and what lies beside them."""
    folders = workspace.collection(NAME).index_file.parent, workspace.collection(NAME).head_file.parent
    return {str(file): file.read_bytes() for folder in folders for file in folder.iterdir() if file.is_file()}


def assert_same_index(one: CategoryIndex, two: CategoryIndex) -> None:
    assert (one.categories, one.tunings) == (two.categories, two.tunings)
    np.testing.assert_array_equal(one.hyperplanes.planes, two.hyperplanes.planes)
    np.testing.assert_array_equal(one.hyperplanes.mean, two.hyperplanes.mean)
    for name, partition in one.partitions.items():
        other = two.partitions[name]
        assert partition.key_bits == other.key_bits
        for field in ("ids", "codes", "embeddings"):
            np.testing.assert_array_equal(getattr(partition, field), getattr(other, field))


def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_pass(*_: object) -> None:
        raise AssertionError("no pass of the network is needed, and no head is fitted")

    monkeypatch.setattr(LiteNetwork, "encode", no_pass)
    monkeypatch.setattr(Head, "fit", no_pass)
    monkeypatch.setattr(Head, "of_collection", no_pass)


# what is written


def test_an_index_hashed_anew_is_the_one_that_would_be_built_with_these_settings(
    small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = small_workspace.collection(NAME).head_file.read_bytes()
    opened = small_workspace.open()
    with monkeypatch.context() as within:
        no_network(within)
        written = retune(opened, n_bits=64, seed=3, tunings={"Bag": Tuning(4, 2)})
    assert_same_index(on_disk(small_workspace), written)
    assert index_settings(small_workspace) == IndexSettings(64, 3, {"Bag": Tuning(4, 2)})
    assert small_workspace.collection(NAME).head_file.read_bytes() == head
    _, built = build_index(small_workspace.collection(NAME), n_bits=64, seed=3)
    assert_same_index(written, built)


def test_what_is_not_named_stays(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    retune(opened, n_bits=64, seed=3, tunings={"Bag": Tuning(4, 2), "Coat": Tuning(1)})
    before = on_disk(small_workspace)
    # nothing named: the same file again
    assert_same_index(retune(opened), before)
    retune(opened, tunings={"Coat": Tuning(n_probes=1)})
    assert index_settings(small_workspace) == IndexSettings(64, 3, {"Bag": Tuning(4, 2), "Coat": Tuning(None, 1)})
    retune(opened, seed=4)
    assert index_settings(small_workspace) == IndexSettings(64, 4, {"Bag": Tuning(4, 2), "Coat": Tuning(None, 1)})
    retune(opened, n_bits=128, tunings={"Bag": Tuning()})
    assert index_settings(small_workspace) == IndexSettings(128, 4, {"Coat": Tuning(None, 1)})


def test_a_category_that_is_left_to_its_size_again_is_as_it_was(small_workspace: Workspace) -> None:
    opened, before = small_workspace.open(), on_disk(small_workspace)
    n = len(before.partitions["Bag"])
    assert 32 < n < 45  # with 32 items a bucket: none or one bit
    retune(opened, tunings={"Bag": Tuning(6, 3)})
    assert on_disk(small_workspace).partitions["Bag"].key_bits == 6
    assert_same_index(retune(opened, tunings={"Bag": Tuning()}), before)


def test_codes_and_buckets_are_those_of_the_new_hyperplanes(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    today, embeddings, _ = active_embeddings(small_workspace.collection(NAME), opened.searcher.encoder.digest)
    index = retune(opened, n_bits=32, seed=5, tunings={"Bag": Tuning(7)})
    partition = index.partitions["Bag"]
    bags = embeddings[np.searchsorted(today.ids, partition.ids)].astype(np.float64)
    bits = (bags - embeddings.mean(axis=0, dtype=np.float64)) @ index.hyperplanes.planes.astype(np.float64) > 0
    # a projection that is all but 0 may be rounded to either side
    assert (np.unpackbits(partition.codes, axis=1) != bits).mean() < 0.001
    assert (np.diff(keys_of(partition.codes, 7)) >= 0).all()


def test_a_search_probes_as_many_buckets_as_were_chosen(small_workspace: Workspace) -> None:
    retune(small_workspace.open(), tunings={"Ankle boot": Tuning(8, 2)})
    opened = small_workspace.open()
    classified = opened.classify(opened.picture(1))
    assert classified.category == "Ankle boot"
    by_itself, asked = opened.find(classified), opened.find(classified, n_probes=2)
    assert (by_itself.buckets, by_itself.results, by_itself.candidates) == (2, asked.results, asked.candidates)
    # the query's own bucket, and the one behind the nearest of the eight hyperplanes
    index = opened.searcher.index
    projection = index.hyperplanes.project(classified.embedding[None])[0, :8]
    own = int("".join("1" if distance > 0 else "0" for distance in projection), 2)
    beside = own ^ (128 >> int(np.abs(projection).argmin()))
    sizes = np.bincount(index.partitions["Ankle boot"].codes[:, 0], minlength=256)
    assert by_itself.candidates == sizes[own] + sizes[beside] < sizes.sum()
    assert opened.find(classified, categories=["Bag"]).buckets == 0


def test_without_a_file_of_embeddings_those_of_the_index_are_hashed(
    small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, before = small_workspace.open(), on_disk(small_workspace)
    small_workspace.collection(NAME).embeddings_file(opened.searcher.encoder.digest, 64).unlink()
    no_network(monkeypatch)
    for seed in (3, 4, 2019):
        retune(opened, seed=seed)
    after = on_disk(small_workspace)
    # 16 bits taken from 16 bits are the same, however often
    for name, partition in before.partitions.items():
        order, its_order = np.argsort(partition.ids), np.argsort(after.partitions[name].ids)
        np.testing.assert_array_equal(
            after.partitions[name].embeddings[its_order], partition.embeddings[order], strict=True
        )


def test_where_an_item_has_no_exact_embedding_those_of_the_index_are_hashed(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    path = small_workspace.collection(NAME).embeddings_file(opened.searcher.encoder.digest, 64)
    # other ones, so that it shows which were taken, and none for the last item
    np.save(path, unit_vectors(399, opened.searcher.index.hyperplanes.dimensions, seed=1))
    before = on_disk(small_workspace)
    after = retune(opened, seed=3)
    assert len(after) == 400
    np.testing.assert_array_equal(after.embeddings(range(1, 401)), before.embeddings(range(1, 401)))


def test_a_damaged_file_of_embeddings_is_named_and_nothing_is_written(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    path = small_workspace.collection(NAME).embeddings_file(opened.searcher.encoder.digest, 64)
    path.write_bytes(path.read_bytes()[:1000])
    before = everything(small_workspace)
    with pytest.raises(DataError, match="is damaged. Remove it"):
        retune(opened, seed=3)
    assert everything(small_workspace) == before


def test_the_progress_is_told_in_items(small_workspace: Workspace) -> None:
    told: list[tuple[int, int]] = []
    retune(small_workspace.open(), seed=3, progress=lambda done, total: told.append((done, total)))
    sizes = [len(part) for _, part in sorted(on_disk(small_workspace).partitions.items())]
    assert told == [(int(done), 400) for done in np.cumsum(sizes)]


# today's labels


def test_the_categories_are_todays(small_workspace: Workspace) -> None:
    opened, elsewhere = small_workspace.open(), small_workspace.open()
    elsewhere.correct(1, "[Gum]boot", "ann", 0)
    newest = elsewhere.exclude(2, "ann", 0)
    assert opened.n_since_index == 2
    index = retune(opened, tunings={"[Gum]boot": Tuning(2)})
    assert (index.category_of(1), index.category_of(2), len(index)) == ("[Gum]boot", None, 399)
    assert index.partitions["[Gum]boot"].key_bits == 2
    assert read_index(small_workspace.collection(NAME).index_file)[1].revision == newest.id
    assert opened.n_since_index == 0
    again = small_workspace.open()
    assert again.refresh() == 0
    assert again.searcher.index.category_of(1) == "[Gum]boot"


def test_an_item_without_a_label_stays_where_it_lies(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue, catalogue.writing() as connection:
        connection.exec_driver_sql("UPDATE items SET label = NULL WHERE id IN (1, 2)")
    index, header = read_index(small_workspace.collection(NAME).index_file)
    index.move([1], "Bag")
    write_index(small_workspace.collection(NAME).index_file, index, header)
    before = index.category_of(2)
    after = retune(small_workspace.open(), seed=3)
    assert (after.category_of(1), after.category_of(2)) == ("Bag", before)


def test_items_on_disk_that_memory_does_not_know_are_kept(small_workspace: Workspace) -> None:
    path = small_workspace.collection(NAME).index_file
    whole, header = read_index(path)
    fewer, _ = read_index(path)
    fewer.remove(range(201, 401))
    write_index(path, fewer, header)
    opened = small_workspace.open()
    write_index(path, whole, header)
    assert len(opened.searcher.index) == 200
    assert len(retune(opened, seed=3)) == len(small_workspace.open().searcher.index) == 400


def test_a_picture_that_is_not_indexed_yet_stays_so(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue:
        catalogue.add([ImportedItem(400, "0" * 64, "Bag", "train", "another shop")])
    assert retune(small_workspace.open(), seed=3).known([400, 401]) == [400]


def test_a_tuning_outlives_a_category_that_corrections_empty(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    n = opened.catalogue.label_counts()["Bag"]
    retune(opened, tunings={"Bag": Tuning(4, 2)})
    again = small_workspace.open()
    batch = again.rename_label("Bag", "Satchel", "ann", include_test=True)
    assert "Bag" not in again.searcher.index.categories
    assert again.searcher.index.partitions["Satchel"].key_bits == 0
    for keep in (rewrite_index, retune):
        keep(again)
        assert index_settings(small_workspace).tunings == {"Bag": Tuning(4, 2)}
    again.undo(batch.corrections[0].id, "ann")
    part = again.searcher.index.partitions["Bag"]
    assert (len(part), part.key_bits) == (n, 4)
    # what no category bears any more can be unpinned all the same
    again.rename_label("Bag", "Satchel", "ann", include_test=True)
    assert retune(again, tunings={"Bag": Tuning()}).tunings == {}


def test_a_head_that_is_swapped_leaves_the_settings(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue, catalogue.writing() as connection:
        connection.exec_driver_sql("UPDATE items SET label = NULL WHERE id % 4 = 1")
    retune(small_workspace.open(), 64, 3, {"Bag": Tuning(4, 2)})
    with small_workspace.collection(NAME).catalogue() as catalogue:
        catalogue.rename_label("Sandal", "Slipper", "ann", include_test=True)
    before = small_workspace.collection(NAME).index_file.read_bytes()
    refit(small_workspace.collection(NAME))
    swap(small_workspace.collection(NAME))
    assert small_workspace.collection(NAME).index_file.read_bytes() != before
    assert index_settings(small_workspace) == IndexSettings(64, 3, {"Bag": Tuning(4, 2)})


# refusals


REFUSED: list[tuple[dict[str, object], str]] = [
    ({"n_bits": 12}, "in steps of 8, not 12"),
    ({"n_bits": 8192}, "in steps of 8, not 8,192"),
    ({"n_bits": 8}, "“Coat” can be named by 0 to 8 bits"),  # it has 9
    ({"seed": -1}, "A seed is a number from 0"),
    ({"seed": 16}, "Choose another seed"),
    ({"tunings": {"Bag": Tuning(17)}}, "“Bag” can be named by 0 to 16 bits"),
    ({"n_bits": 16, "tunings": {"Coat": Tuning(), "Bag": Tuning(17)}}, "0 to 16 bits of a code of 16"),
    ({"tunings": {"Coat": Tuning(2, 5)}}, "“Coat” can probe 1 to 4 buckets, not 5"),
    # by its size it has one bit at most
    ({"tunings": {"Bag": Tuning(n_probes=3)}}, "“Bag” can probe 1 to [12] buckets, not 3"),
    ({"tunings": {"Bag": Tuning(4), "Hat": Tuning(2)}}, "no category “Hat”. It has: Ankle boot, Bag, Coat"),
]


@pytest.fixture
def pinned_workspace(small_workspace: Workspace) -> Workspace:
    """A small workspace whose coats lie in 512 buckets."""
    retune(small_workspace.open(), tunings={"Coat": Tuning(9)})
    return small_workspace


@pytest.mark.parametrize(("wanted", "sentence"), REFUSED)
def test_a_bad_setting_leaves_everything_as_it_was(
    pinned_workspace: Workspace, wanted: dict[str, object], sentence: str
) -> None:
    opened, before = pinned_workspace.open(), everything(pinned_workspace)
    with pytest.raises(TuningError, match=sentence):
        retune(opened, **wanted)  # type: ignore[arg-type]
    assert everything(pinned_workspace) == before
    # it can be known before
    with pytest.raises(TuningError, match=sentence):
        check(opened.searcher.index, index_settings(pinned_workspace), **wanted)  # type: ignore[arg-type]


TUNINGS = st.builds(Tuning, st.none() | st.integers(0, 12), st.none() | st.integers(1, 4096))


@settings_of(max_examples=60, deadline=None)
@given(st.sampled_from([8, 16, 64, 512]), TUNINGS, TUNINGS)
def test_what_is_allowed_can_be_built(n_bits: int, coat: Tuning, bag: Tuning) -> None:
    vectors, names = unit_vectors(200, 8, seed=0), np.array(["Bag", "Coat"] * 100)
    index = CategoryIndex.build(vectors, np.arange(200), names, 8, 3)
    try:
        wanted = check(index, IndexSettings(8, 3, {"Coat": coat}), n_bits=n_bits, tunings={"Bag": bag})
    except TuningError:
        # why, in numbers: too many bits for the code, or more probes than buckets; 100 items are 2 bits by size
        buckets = {8: 256, 16: 65_536}.get(n_bits, 65_536)
        its = 2**coat.key_bits if coat.key_bits is not None else buckets
        assert (
            max(coat.key_bits or 0, bag.key_bits or 0) > n_bits
            or (coat.n_probes or 0) > its
            or (bag.n_probes or 0) > 2 ** (2 if bag.key_bits is None else bag.key_bits)
        )
        return
    built = CategoryIndex.build(vectors, np.arange(200), names, wanted.n_bits, wanted.seed, wanted.tunings)
    found = built.search(vectors[:2], ["Bag", "Coat"], k=200, rerank=200)
    for name, tuning in (("Bag", bag), ("Coat", coat)):
        assert built.partitions[name].key_bits == (2 if tuning.key_bits is None else tuning.key_bits)
    expected = sum(
        min(tuning.n_probes, 2 ** built.partitions[name].key_bits)
        for name, tuning in (("Bag", bag), ("Coat", coat))
        if tuning.n_probes is not None
    )
    assert found.buckets.tolist() == [expected] * 2


def test_while_an_import_runs_nothing_is_written(small_workspace: Workspace) -> None:
    opened, before = small_workspace.open(), everything(small_workspace)
    with (
        only_one(small_workspace.collection(NAME).import_lock),
        pytest.raises(BusyError, match="Another process is at work"),
    ):
        retune(opened, seed=3)
    assert everything(small_workspace) == before


def test_an_index_that_is_made_anew_meanwhile_stays(
    small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, path = small_workspace.open(), small_workspace.collection(NAME).index_file
    index, header = read_index(path)

    def overtaken(partial: Path, *what: object) -> None:
        index.remove([2])
        write_index(path, index, header)

    monkeypatch.setattr("fashion16.collections.indexing.write_index", overtaken)
    with pytest.raises(BusyError, match="has rebuilt the index of “fashion-mnist”; that one stays"):
        retune(opened, seed=3)
    assert len(on_disk(small_workspace)) == 399
    assert index_settings(small_workspace).seed == 2019
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_where_there_is_no_index_none_is_made(small_workspace: Workspace) -> None:
    opened = small_workspace.open()
    small_workspace.collection(NAME).index_file.unlink()
    with pytest.raises(MissingIndexError):
        retune(opened, seed=3)
    assert not small_workspace.collection(NAME).index_file.exists()


# the command


@pytest.fixture
def home(small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace that the commands open."""
    monkeypatch.setenv(settings.HOME.variable, str(small_workspace.root))
    return small_workspace


def succeed(*arguments: object) -> str:
    """What the command prints."""
    result = CliRunner().invoke(app.app, [str(argument) for argument in arguments], env=WIDE)
    assert (result.exit_code, result.exception) == (0, None)
    return result.stdout


def rows(printed: str) -> dict[str, list[str]]:
    """The table in it: what stands beside each category."""
    lines = (line for line in printed.splitlines() if line.startswith("│"))
    cells = ([cell.strip() for cell in line.strip("│").split("│")] for line in lines)
    return {name: rest for name, *rest in cells}


def test_without_an_option_the_command_prints_what_is_and_writes_nothing(home: Workspace) -> None:
    before = everything(home)
    printed = succeed("tune", NAME)
    assert printed.startswith(f"{NAME}: 400 items, 512 bits, seed 2019\n")
    index = on_disk(home)
    assert set(rows(printed)) == set(index.categories)
    n, key_bits = len(index.partitions["Bag"]), index.partitions["Bag"].key_bits
    expected = [str(n), f"{key_bits} by size", str(2**key_bits), f"{n / 2**key_bits:.1f}", "by size"]
    assert rows(printed)["Bag"] == expected
    assert everything(home) == before


def test_the_command_pins_what_it_is_told_and_prints_what_is_now(home: Workspace) -> None:
    printed = succeed(
        "tune", NAME, "--n-bits", 64, "--seed", 3, "--key-bits", "Bag=6", "--probes", "Bag=12", "--key-bits", "Coat=0"
    )
    assert f"{NAME}: 400 items, 64 bits, seed 3\n" in printed
    n = len(on_disk(home).partitions["Bag"])
    assert rows(printed)["Bag"] == [str(n), "6 pinned", "64", f"{n / 64:.1f}", "12 pinned"]
    assert rows(printed)["Coat"][1:3] == ["0 pinned", "1"]
    assert index_settings(home) == IndexSettings(64, 3, {"Bag": Tuning(6, 12), "Coat": Tuning(0)})
    # one of a category's two stays when the other is chosen
    succeed("tune", NAME, "--probes", "Bag=1")
    assert index_settings(home).tunings == {"Bag": Tuning(6, 1), "Coat": Tuning(0)}
    succeed("tune", NAME, "--key-bits", "Bag=auto", "--auto", "Coat")
    assert index_settings(home) == IndexSettings(64, 3, {"Bag": Tuning(None, 1)})
    succeed("tune", NAME, "--auto", "Bag", "--key-bits", "Bag=2")
    assert index_settings(home).tunings == {"Bag": Tuning(2)}


def test_a_category_may_hold_the_sign_and_markup(home: Workspace) -> None:
    with home.collection(NAME).catalogue() as catalogue:
        catalogue.rename_label("Bag", "[b]a=b=", "ann", include_test=True)
    printed = succeed("tune", NAME, "--key-bits", "[b]a=b==4")
    assert index_settings(home).tunings == {"[b]a=b=": Tuning(4)}
    assert rows(printed)["[b]a=b="][1] == "4 pinned"


def test_a_category_that_has_no_items_is_listed_while_something_is_pinned(home: Workspace) -> None:
    succeed("tune", NAME, "--probes", "Bag=1")
    with home.collection(NAME).catalogue() as catalogue:
        catalogue.rename_label("Bag", "Satchel", "ann", include_test=True)
    printed = succeed("tune", NAME, "--seed", 3)
    assert rows(printed)["Bag"] == ["0", "by size", "", "", "1 pinned"]


@pytest.mark.parametrize("pair", ["Bag", "Bag=", "Bag=many", "Bag=-1", "Bag=1.5", "Bag=²"])
def test_what_is_no_category_and_number_is_refused(home: Workspace, pair: str) -> None:
    before = everything(home)
    for option in ("--key-bits", "--probes"):
        result = CliRunner().invoke(app.app, ["tune", NAME, option, pair], env=WIDE)
        assert result.exit_code == 2
        assert f"“{pair}” is not CATEGORY=N, as in “Bag=9”" in result.stderr
        assert option in result.stderr
    assert everything(home) == before


@pytest.mark.parametrize("options", [("--n-bits", "100"), ("--n-bits", "0"), ("--n-bits", "8192"), ("--seed", "-1")])
def test_bits_and_seeds_that_cannot_be_are_refused(home: Workspace, options: tuple[str, str]) -> None:
    for command in ("tune", "index"):
        result = CliRunner().invoke(app.app, [command, NAME, *options], env=WIDE)
        assert (result.exit_code, options[0] in result.stderr) == (2, True)


def test_a_refusal_is_one_sentence_with_status_1(home: Workspace) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fashion16.cli", "tune", NAME, "--key-bits", "Hat=3"],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8", settings.HOME.variable: str(home.root), **WIDE},
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert "The index has no category “Hat”. It has: Ankle boot, Bag, Coat" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_index_made_again_says_what_it_has_kept(home: Workspace) -> None:
    assert "Kept" not in succeed("index", NAME)
    succeed("tune", NAME, "--n-bits", 64, "--seed", 3, "--key-bits", "Bag=4", "--probes", "Bag=2", "--probes", "Coat=1")
    printed = succeed("index", NAME)
    assert f"{NAME}: 400 items in 10 categories, 64 bits\n" in printed
    assert "Kept as chosen: 64 bits; seed 3; Bag 4 key bits, 2 probes; Coat 1 probes\n" in printed
    assert "Kept as chosen: Bag 4 key bits, 2 probes; Coat 1 probes\n" in succeed(
        "index", NAME, "--n-bits", 128, "--seed", 5
    )
    assert index_settings(home) == IndexSettings(128, 5, {"Bag": Tuning(4, 2), "Coat": Tuning(None, 1)})


def test_an_index_made_again_by_the_command_leaves_bits_that_were_given_before(home: Workspace) -> None:
    succeed("index", NAME, "--n-bits", 64)
    assert succeed("index", NAME).endswith("categories, 64 bits\nKept as chosen: 64 bits\n")


@pytest.mark.parametrize("lose", [lambda workspace: workspace.collection(NAME).index_file.unlink()])
def test_without_an_index_the_command_says_how_to_make_one(home: Workspace, lose: Callable[[Workspace], None]) -> None:
    lose(home)
    with pytest.raises(MissingIndexError, match=f"Make one with: fashion16 index {NAME}"):
        CliRunner().invoke(app.app, ["tune", NAME], catch_exceptions=False)


def test_a_seed_of_another_index_file_is_not_lost(small_workspace: Workspace) -> None:
    index, header = read_index(small_workspace.collection(NAME).index_file)
    write_index(small_workspace.collection(NAME).index_file, index, replace(header, seed=0))
    retune(small_workspace.open(), n_bits=64)
    assert index_settings(small_workspace) == IndexSettings(64, 0)
