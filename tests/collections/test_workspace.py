"""Files and wiring: importing, embedding, building and opening, and what happens when one of them is cut short."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import fashion16.collections.embeddings
from fashion16 import settings
from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.embeddings import embed, stored_embeddings
from fashion16.collections.importing import fashion_mnist_splits, import_fashion_mnist
from fashion16.collections.indexing import build_index
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.errors import (
    CatalogueError,
    DamagedIndexError,
    DataError,
    EncoderError,
    EncoderMismatchError,
    HeadError,
    MissingIndexError,
    TuningError,
    WorkspaceError,
)
from fashion16.images import to_network
from fashion16.search.encoder import EncoderCard, LiteNetwork
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import IndexSettings, read_index, settings_in, write_index
from fashion16.search.partition import Tuning
from fashion16.search.references import References
from fashion16.types import Floats, Pixels
from tests.conftest import REPOSITORY, first_pictures
from tests.fakes import FakeEncoder

NAME = DEFAULT_COLLECTION
OTHER_DIGEST = "f" * 64


@dataclass
class FailingEncoder(FakeEncoder):
    """A fake with a card, which breaks down after the given number of batches."""

    fails_after: int = 1_000_000
    card: EncoderCard = field(default_factory=lambda: EncoderCard(FakeEncoder().digest, 12, 64, 32, 32, "", ""))

    def encode(self, pictures: Pixels) -> Floats:
        if len(self.batches) == self.fails_after:
            raise KeyboardInterrupt
        return super().encode(pictures)


def digest_of(workspace: Workspace) -> str:
    return EncoderCard.read(workspace.encoder_folder / "encoder.json").digest


def bare_workspace(root: Path, fashion_mnist_folder: Path) -> Workspace:
    """A workspace before its first import."""
    (root / "data").mkdir(parents=True)
    (root / "data" / "downloads").symlink_to(fashion_mnist_folder)
    return Workspace(root)


def assert_whole(workspace: Workspace) -> None:
    """All 70,000 items are there exactly once, and their pictures, and nothing else."""
    with workspace.collection(NAME).catalogue() as catalogue:
        today = catalogue.labels()
        assert catalogue.count() == 70_000
        assert set(catalogue.label_counts().values()) == {7_000}
    np.testing.assert_array_equal(today.ids, np.arange(1, 70_001))
    np.testing.assert_array_equal(today.positions, np.arange(70_000))
    assert workspace.collection(NAME).pictures().shape == (70_000, 28, 28)


# where things lie


def test_the_root_is_the_argument_else_the_environment_else_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(settings.HOME.variable, raising=False)
    assert Workspace().root == REPOSITORY
    monkeypatch.setenv(settings.HOME.variable, str(tmp_path / "home"))
    assert Workspace().root == tmp_path / "home"
    assert Workspace(tmp_path / "other").root == tmp_path / "other"


def test_the_database_is_the_argument_else_the_environment_else_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Workspace(tmp_path).database_url is None
    monkeypatch.setenv(settings.DATABASE_URL.variable, "nosuchdatabase://host/name")
    assert Workspace(tmp_path, "sqlite://").database_url == "sqlite://"
    with (
        pytest.raises(CatalogueError, match="The database URL cannot be used"),
        Workspace(tmp_path).collection(NAME).catalogue(),
    ):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with (
        pytest.raises(WorkspaceError, match=f"cannot be made .*set {settings.HOME.variable}") as caught,
        Workspace(tmp_path / "file").collection(NAME).catalogue(),
    ):
        pass
    assert caught.value.path == tmp_path / "file" / "data" / NAME


def test_an_import_into_a_folder_that_cannot_be_made_is_our_own_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WorkspaceError, match="cannot be made"):
        import_fashion_mnist(Workspace(tmp_path / "file" / "below").collection())


# importing


def test_an_imported_collection_is_whole_and_its_splits_are_the_published_ones(workspace: Workspace) -> None:
    assert workspace.collection(NAME).is_imported()
    assert_whole(workspace)
    with workspace.collection(NAME).catalogue() as catalogue:
        splits = catalogue.labels().splits
    np.testing.assert_array_equal(splits, fashion_mnist_splits())
    assert {str(name): int((splits == name).sum()) for name in np.unique(splits)} == {
        "test": 10_000,
        "train": 55_000,
        "validation": 5_000,
    }


def test_a_collection_that_was_never_imported_is_not_there(tmp_path: Path) -> None:
    assert not Workspace(tmp_path).collection(NAME).is_imported()
    with pytest.raises(DataError, match=f"are not there. Fetch them with: fashion16 import {NAME}"):
        Workspace(tmp_path).collection(NAME).pictures()
    assert list(tmp_path.iterdir()) == []


def test_importing_twice_changes_nothing(small_workspace: Workspace) -> None:
    stored = small_workspace.collection(NAME)
    with stored.catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", 0)
    before = stored.pictures_file.stat().st_mtime_ns
    assert import_fashion_mnist(stored) == 400
    assert stored.pictures_file.stat().st_mtime_ns == before
    with stored.catalogue() as catalogue:
        assert catalogue.item(1).label == "Bag"


def start_import(root: Path, then: str, first: str = "") -> subprocess.Popen[str]:
    """Another process that runs `first`, then imports and runs `then` at each progress."""
    program = (
        f"import os, signal; from pathlib import Path\n"
        f"from fashion16.collections.importing import import_fashion_mnist\n"
        f"from fashion16.collections.workspace import Workspace\n{first}"
        f"def report(done, total): {then}\n"
        f"print(import_fashion_mnist(Workspace(Path({str(root)!r})).collection(), report))"
    )
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


def test_two_processes_importing_at_once_add_every_item_once(tmp_path: Path, fashion_mnist_folder: Path) -> None:
    fresh = bare_workspace(tmp_path, fashion_mnist_folder)
    both = [start_import(tmp_path, "pass") for _ in range(2)]
    answers = [process.communicate(timeout=120)[0].strip() for process in both]
    assert answers == ["70000", "70000"]
    assert_whole(fresh)


def test_an_import_that_was_killed_while_it_wrote_pictures_and_while_it_added_items_is_whole_when_run_again(
    tmp_path: Path, fashion_mnist_folder: Path
) -> None:
    fresh = bare_workspace(tmp_path, fashion_mnist_folder)
    dies_while_saving = (
        "import numpy\n"
        "def save(file, pictures): file.write(bytes(1000)), file.flush(), os.kill(os.getpid(), signal.SIGKILL)\n"
        "numpy.save = save\n"
    )
    process = start_import(tmp_path, "pass", dies_while_saving)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert not fresh.collection(NAME).pictures_file.exists()
    # 30,000 rows have gone to the database when it dies, without a chance to tidy up
    process = start_import(tmp_path, "done == 30_000 and os.kill(os.getpid(), signal.SIGKILL)")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert not fresh.collection(NAME).is_imported()
    with fresh.collection(NAME).catalogue() as catalogue:
        assert catalogue.count() == 0
    reported: list[tuple[int, int]] = []
    assert import_fashion_mnist(fresh.collection(), lambda done, total: reported.append((done, total))) == 70_000
    assert reported[-1] == (70_000, 70_000)
    assert_whole(fresh)


def test_pictures_that_went_missing_are_written_again(small_workspace: Workspace, fashion_mnist_folder: Path) -> None:
    (small_workspace.root / "data" / "downloads").symlink_to(fashion_mnist_folder)
    small_workspace.collection(NAME).pictures_file.unlink()
    assert not small_workspace.collection(NAME).is_imported()
    # the catalogue and its history stay
    assert import_fashion_mnist(small_workspace.collection()) == 400
    assert small_workspace.collection(NAME).pictures().shape == (70_000, 28, 28)


def test_damaged_pictures_are_named_with_the_command_that_mends_them(small_workspace: Workspace) -> None:
    path = small_workspace.collection(NAME).pictures_file
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=f"is damaged. Remove it, and fetch it again with: fashion16 import {NAME}"):
        small_workspace.collection(NAME).pictures()


# embedding


@pytest.fixture
def chunks_of_64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion16.collections.embeddings, "CHUNK", 64)


def test_embedding_writes_a_row_for_each_picture(small_workspace: Workspace) -> None:
    encoder = FailingEncoder()
    reported: list[tuple[int, int]] = []
    path = embed(small_workspace.collection(NAME), encoder, lambda done, total: reported.append((done, total)))
    assert path == small_workspace.collection(NAME).embeddings_file(encoder.digest, 32)
    pictures = np.stack([to_network(picture, 32) for picture in small_workspace.collection(NAME).pictures()])
    np.testing.assert_array_equal(np.load(path), FakeEncoder().encode(pictures))
    assert encoder.batches == [16] * 25
    assert reported == [(done, 400) for done in range(16, 401, 16)]


@pytest.mark.usefixtures("chunks_of_64")
def test_an_interrupted_embedding_goes_on_where_it_was(small_workspace: Workspace, small_template: Path) -> None:
    # a chunk of 64 has four batches, so two chunks are on disk when the eleventh batch fails
    interrupted = FailingEncoder(fails_after=10)
    with pytest.raises(KeyboardInterrupt):
        embed(small_workspace.collection(NAME), interrupted)
    path = small_workspace.collection(NAME).embeddings_file(interrupted.digest, 32)
    assert not path.exists()

    going_on = FailingEncoder()
    embed(small_workspace.collection(NAME), going_on)
    assert len(going_on.batches) == 25 - 8

    whole = Workspace(shutil.copytree(small_template, small_workspace.root.parent / "whole", symlinks=True))
    uninterrupted = embed(whole.collection(NAME), FailingEncoder())
    np.testing.assert_array_equal(np.load(path), np.load(uninterrupted))
    assert list(path.parent.glob("*.partial")) == list(path.parent.glob("*.json")) == []


def test_the_state_of_an_embedding_is_readable_json(small_workspace: Workspace, chunks_of_64: None) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed(small_workspace.collection(NAME), FailingEncoder(fails_after=10))
    state = small_workspace.collection(NAME).embeddings_file(FakeEncoder().digest, 32).with_suffix(".json")
    assert json.loads(state.read_text()) == {"done": 128}


@pytest.mark.usefixtures("chunks_of_64")
@pytest.mark.parametrize("state", ["", "{}", "[]", '{"done": "many"}', '{"done": 9999}'])
def test_an_interrupted_embedding_with_a_broken_state_begins_again(small_workspace: Workspace, state: str) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed(small_workspace.collection(NAME), FailingEncoder(fails_after=10))
    path = small_workspace.collection(NAME).embeddings_file(FakeEncoder().digest, 32)
    path.with_suffix(".json").write_text(state)
    again = FailingEncoder()
    embed(small_workspace.collection(NAME), again)
    assert len(again.batches) == 25
    assert np.load(path).shape == (400, 12)


@pytest.mark.usefixtures("chunks_of_64")
def test_an_interrupted_embedding_of_other_pictures_begins_again(small_workspace: Workspace) -> None:
    with pytest.raises(KeyboardInterrupt):
        embed(small_workspace.collection(NAME), FailingEncoder(fails_after=10))
    np.save(small_workspace.collection(NAME).pictures_file, np.zeros((200, 28, 28), np.uint8))
    path = embed(small_workspace.collection(NAME), FailingEncoder())
    assert np.load(path).shape == (200, 12)


def test_a_full_disk_is_our_own_error(small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object, **options: object) -> object:
        if options["mode"] == "w+":
            raise OSError(28, "No space left on device")
        return open_memmap(*_, **options)

    open_memmap: Callable[..., object] = np.lib.format.open_memmap
    monkeypatch.setattr(np.lib.format, "open_memmap", no_room)
    with pytest.raises(WorkspaceError, match="No space left on device.*run the same command again"):
        embed(small_workspace.collection(NAME), FailingEncoder())


# building


def test_an_index_is_built_from_its_own_embeddings_without_a_pass_of_the_network(
    small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_workspace.collection(NAME).embeddings_file(digest_of(small_workspace), 64).unlink()

    def no_pass(*_: object) -> None:
        raise AssertionError("no pass of the network is needed")

    monkeypatch.setattr(LiteNetwork, "__init__", no_pass)
    monkeypatch.setattr(LiteNetwork, "encode", no_pass)
    before, _ = read_index(small_workspace.collection(NAME).index_file)
    with small_workspace.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", 0)
    head, index = build_index(small_workspace.collection(NAME), n_bits=64, seed=3)
    assert index.category_of(1) == "Bag"
    assert (len(index), index.hyperplanes.n_bits, head.label_revision) == (400, 64, 1)
    # 16 bits taken from 16 bits are the same: nothing is lost, however often it is built
    build_index(small_workspace.collection(NAME))
    with small_workspace.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "Ankle boot", "ann", 1)
    build_index(small_workspace.collection(NAME))
    after, _ = read_index(small_workspace.collection(NAME).index_file)
    assert after.categories == before.categories
    for category, partition in before.partitions.items():
        found = after.partitions[category]
        rows, expected_rows = np.argsort(found.ids), np.argsort(partition.ids)
        np.testing.assert_array_equal(found.ids[rows], partition.ids[expected_rows])
        np.testing.assert_array_equal(found.embeddings[rows], partition.embeddings[expected_rows])


def test_the_head_is_fitted_on_todays_labels_of_the_training_split_alone(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", 0)
        today = catalogue.labels()
    train = today.splits == "train"
    assert 0 < train.sum() < 400
    digest = digest_of(small_workspace)
    embeddings = np.load(small_workspace.collection(NAME).embeddings_file(digest, 64))
    references = References.read(small_workspace.references_file, digest)
    expected = Head.fit(embeddings[train], today.labels[train], digest, 1, references=references)
    check = today.splits == "validation"
    expected = expected.calibrated(embeddings[check], today.labels[check])
    build_index(small_workspace.collection(NAME))
    head = Head.read(small_workspace.collection(NAME).head_file)
    assert head.categories == expected.categories
    np.testing.assert_allclose(head.weights, expected.weights, atol=1e-4)


def test_a_built_index_stands_at_todays_revision(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", 0)
    build_index(small_workspace.collection(NAME))
    opened = small_workspace.open()
    assert opened.searcher.index.category_of(1) == "Bag"
    assert opened.refresh() == 0


def pin(workspace: Workspace, tunings: dict[str, Tuning], **header: object) -> None:
    """Write the index with this pinned, and with these in its header."""
    index, its = read_index(workspace.collection(NAME).index_file)
    pinned = CategoryIndex(index.hyperplanes, index.partitions, tunings)
    write_index(workspace.collection(NAME).index_file, pinned, replace(its, **header))  # type: ignore[arg-type]


def test_an_index_made_again_keeps_what_was_chosen_for_it(small_workspace: Workspace) -> None:
    build_index(small_workspace.collection(NAME), n_bits=64, seed=3)
    chosen = {"Bag": Tuning(4, 2), "Coat": Tuning(n_probes=1), "Hat": Tuning(7)}  # there may be hats again
    pin(small_workspace, chosen)
    _, index = build_index(small_workspace.collection(NAME))
    assert index.hyperplanes.n_bits == 64
    assert index.tunings == chosen
    assert index.partitions["Bag"].key_bits == 4
    assert settings_in(small_workspace.collection(NAME).index_file) == IndexSettings(64, 3, chosen)
    # one of them given, the others stay
    build_index(small_workspace.collection(NAME), seed=5)
    assert settings_in(small_workspace.collection(NAME).index_file) == IndexSettings(64, 5, chosen)
    build_index(small_workspace.collection(NAME), n_bits=128)
    assert settings_in(small_workspace.collection(NAME).index_file) == IndexSettings(128, 5, chosen)


def test_what_was_chosen_is_kept_after_a_change_of_encoder(small_workspace: Workspace) -> None:
    build_index(small_workspace.collection(NAME), n_bits=64, seed=3)
    pin(small_workspace, {"Bag": Tuning(4)}, encoder_digest=OTHER_DIGEST)
    _, index = build_index(small_workspace.collection(NAME))
    assert (index.hyperplanes.n_bits, index.tunings) == (64, {"Bag": Tuning(4)})


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"no index")])
def test_where_no_index_can_be_read_the_recommended_settings_are_taken(
    small_workspace: Workspace, damage: Callable[[Path], object]
) -> None:
    build_index(small_workspace.collection(NAME), n_bits=64, seed=3)
    damage(small_workspace.collection(NAME).index_file)
    build_index(small_workspace.collection(NAME))
    assert settings_in(small_workspace.collection(NAME).index_file) == IndexSettings(512, 2019, {})


@pytest.mark.parametrize(("n_bits", "seed"), [(8, None), (12, None), (None, -1), (None, 16)])
def test_settings_that_cannot_be_leave_index_and_head_as_they_were(
    small_workspace: Workspace, n_bits: int | None, seed: int | None
) -> None:
    pin(small_workspace, {"Bag": Tuning(9)})
    files = small_workspace.collection(NAME).index_file, small_workspace.collection(NAME).head_file
    before = [file.read_bytes() for file in files]
    with pytest.raises(TuningError):
        build_index(small_workspace.collection(NAME), n_bits, seed)
    assert [file.read_bytes() for file in files] == before


@pytest.fixture
def few_workspace(workspace: Workspace, quick_encoder: Path, tmp_path: Path) -> Workspace:
    """A workspace of 60 pictures, for those of 400 take seconds to encode."""
    return first_pictures(60, tmp_path / "few", workspace, quick_encoder)


def test_items_without_an_embedding_are_left_out_of_the_index(few_workspace: Workspace) -> None:
    few_workspace.collection(NAME).embeddings_file(digest_of(few_workspace), 64).unlink()
    with few_workspace.collection(NAME).catalogue() as catalogue:
        catalogue.add([ImportedItem(60, "0" * 64, "Bag", "train", "another shop")])
    _, index = build_index(few_workspace.collection(NAME))
    assert len(index) == 60
    assert index.known([61]) == []


@pytest.mark.parametrize(
    "damage", [lambda path: path.unlink(), lambda path: path.write_bytes(path.read_bytes()[:-1000])]
)
def test_without_embeddings_or_index_the_pictures_are_encoded_first(
    few_workspace: Workspace, damage: Callable[[Path], object]
) -> None:
    embeddings = few_workspace.collection(NAME).embeddings_file(digest_of(few_workspace), 64)
    before = np.load(embeddings)
    embeddings.unlink()
    damage(few_workspace.collection(NAME).index_file)
    calls: list[tuple[int, int]] = []
    _, index = build_index(few_workspace.collection(NAME), progress=lambda done, total: calls.append((done, total)))
    assert len(index) == 60
    assert calls[-1] == (60, 60)
    # the stored ones may be those of the index, in 16 bits
    assert (np.load(embeddings) * before).sum(axis=1).min() > 0.999


def test_a_damaged_file_of_embeddings_is_named(small_workspace: Workspace) -> None:
    path = small_workspace.collection(NAME).embeddings_file(digest_of(small_workspace), 64)
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(DataError, match=f"is damaged. Remove it, and make it again with: fashion16 index {NAME}"):
        build_index(small_workspace.collection(NAME))


def test_a_collection_of_one_category_cannot_have_a_head_without_references(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue:
        for item in catalogue.items(range(1, 401)):
            if item.label != "Bag":
                catalogue.correct(item.id, "Bag", "ann", 0)
    before = small_workspace.collection(NAME).index_file.read_bytes()
    (own_encoder(small_workspace) / "references.h5").unlink()
    with pytest.raises(HeadError, match="at least two categories, and there are 1"):
        build_index(small_workspace.collection(NAME))
    assert small_workspace.collection(NAME).index_file.read_bytes() == before


def test_a_collection_of_one_category_is_classified_by_the_references(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue:
        for item in catalogue.items(range(1, 401)):
            if item.label != "Bag":
                catalogue.correct(item.id, "Bag", "ann", 0)
    head, index = build_index(small_workspace.collection(NAME))
    assert {"Dress", "Sneaker", "Ankle boot", "Longsleeve", "Shirt"} < set(head.categories)
    assert index.categories == ("Bag",)


# opening


def own_encoder(workspace: Workspace) -> Path:
    """The workspace's encoder as files of its own, to be damaged."""
    workspace.encoder_folder.unlink()
    return Path(shutil.copytree(REPOSITORY / "models" / "encoder", workspace.encoder_folder))


def lose_head(workspace: Workspace) -> None:
    workspace.collection(NAME).head_file.unlink()


def change_head(workspace: Workspace) -> None:
    head = Head.read(workspace.collection(NAME).head_file)
    replace(head, encoder_digest=OTHER_DIGEST).write(workspace.collection(NAME).head_file)


def lose_index(workspace: Workspace) -> None:
    workspace.collection(NAME).index_file.unlink()


def change_index(workspace: Workspace) -> None:
    index, header = read_index(workspace.collection(NAME).index_file)
    write_index(workspace.collection(NAME).index_file, index, replace(header, encoder_digest=OTHER_DIGEST))


def cut_index(workspace: Workspace) -> None:
    path = workspace.collection(NAME).index_file
    path.write_bytes(path.read_bytes()[:-1000])


def lose_pictures(workspace: Workspace) -> None:
    workspace.collection(NAME).pictures_file.unlink()


def lose_encoder(workspace: Workspace) -> None:
    (own_encoder(workspace) / "encoder.json").unlink()


def change_encoder(workspace: Workspace) -> None:
    with (own_encoder(workspace) / "encoder.tflite").open("ab") as file:
        file.write(b"x")


@pytest.mark.parametrize(
    ("damage", "error", "remedy"),
    [
        (lose_head, HeadError, "Make one with: fashion16 index"),
        (change_head, HeadError, f"another encoder.*: fashion16 index {NAME}$"),
        (lose_index, MissingIndexError, f"Make one with: fashion16 index {NAME}"),
        (change_index, EncoderMismatchError, f"another encoder.*: fashion16 index {NAME}$"),
        (cut_index, DamagedIndexError, f"make it again with: fashion16 index {NAME}"),
        (lose_pictures, DataError, f"Fetch them with: fashion16 import {NAME}"),
        (lose_encoder, EncoderError, "Restore it from the repository"),
        (change_encoder, EncoderError, "Restore both from the repository"),
    ],
)
def test_what_is_missing_or_does_not_fit_is_named_with_what_mends_it(
    small_workspace: Workspace, damage: Callable[[Workspace], None], error: type[Exception], remedy: str
) -> None:
    damage(small_workspace)
    with pytest.raises(error, match=remedy):
        small_workspace.open()


def test_the_command_named_mends_a_mismatch(small_workspace: Workspace) -> None:
    change_head(small_workspace)
    change_index(small_workspace)
    build_index(small_workspace.collection(NAME))
    assert len(small_workspace.open().searcher.index) == 400


def test_an_unknown_collection_leaves_no_trace(small_workspace: Workspace) -> None:
    with pytest.raises(HeadError, match="There is no head at"):
        small_workspace.open("hats")
    with pytest.raises(DataError, match="fashion16 import hats"):
        build_index(small_workspace.collection("hats"))
    assert [path for path in small_workspace.root.rglob("*hats*")] == []


# the promise of the committed model


def test_the_head_is_right_about_93_of_100_test_pictures_by_their_stored_embeddings(workspace: Workspace) -> None:
    opened = workspace.open()
    ids, embeddings, side = stored_embeddings(workspace.collection(NAME), digest_of(workspace))
    with workspace.collection(NAME).catalogue() as catalogue:
        today = catalogue.labels()
    np.testing.assert_array_equal(ids, today.ids)
    assert side == 64
    test = today.splits == "test"
    guesses = np.array(opened.searcher.head.categories)[
        opened.searcher.head.probabilities(embeddings[test]).argmax(axis=1)
    ]
    assert len(guesses) == 10_000
    assert (guesses == today.labels[test]).mean() >= 0.93


def test_the_whole_way_from_pixels_is_right_about_89_of_100_test_pictures(workspace: Workspace) -> None:
    opened = workspace.open()
    today = opened.catalogue.labels()
    sample = np.random.default_rng(8).choice(today.ids[today.splits == "test"], 300, replace=False)
    labels = {item.id: item.label for item in opened.catalogue.items([int(i) for i in sample])}
    right = [opened.classify(opened.picture(int(i))).category == labels[int(i)] for i in sample]
    assert np.mean(right) >= 0.89
