"""A refitted head beside the one in use: how they are compared, and that choosing it is all or nothing."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.indexing import build_index
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.stored import StoredCollection
from fashion16.collections.workspace import Workspace
from fashion16.errors import BusyError, DataError, HeadError, MissingIndexError, WorkspaceError
from fashion16.estimate import Figure
from fashion16.files.locks import is_taken, only_one
from fashion16.labels import refitting
from fashion16.labels.refitting import Refit, discard, pending, refit, swap
from fashion16.search.encoder import EncoderCard, LiteNetwork
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import read_index, write_index
from fashion16.types import Floats, Labels
from tests.conftest import REPOSITORY

NAME = DEFAULT_COLLECTION


@pytest.fixture(scope="session")
def refitted_template(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a small workspace whose sandals are slippers now, but for the test split, with a head refitted."""
    root = shutil.copytree(small_template, tmp_path_factory.mktemp("refitted") / "small", symlinks=True)
    made = Workspace(root)
    with made.collection(NAME).catalogue() as catalogue:
        catalogue.rename_label("Sandal", "Slipper", "ann")
    refit(made.collection(NAME))
    return root


@pytest.fixture
def refitted(refitted_template: Path, tmp_path: Path) -> Workspace:
    """Such a workspace of the test's own."""
    return Workspace(shutil.copytree(refitted_template, tmp_path / "refitted", symlinks=True))


def found_in(workspace: Workspace) -> Refit:
    found = pending(workspace.collection(NAME))
    assert found is not None
    return found


def report_file(workspace: Workspace) -> Path:
    return workspace.root / "models" / NAME / "refit.json"


def contents(workspace: Workspace) -> dict[str, bytes]:
    """The head, the index and all that lies beside the head."""
    files = [*(workspace.root / "models" / NAME).iterdir(), workspace.collection(NAME).index_file]
    return {file.name: file.read_bytes() for file in files}


def card_of(workspace: Workspace) -> EncoderCard:
    return EncoderCard.read(workspace.encoder_folder / "encoder.json")


def checked_by(workspace: Workspace) -> tuple[Floats, Labels]:
    """The labelled pictures of the validation split: their embeddings, and today's labels."""
    card = card_of(workspace)
    embeddings = np.load(workspace.collection(NAME).embeddings_file(card.digest, card.side_for(28, 28)))
    with workspace.collection(NAME).catalogue() as catalogue:
        today = catalogue.labels()
    check = today.of(today.splits == "validation")
    return embeddings[check.positions], check


def fill_anew(workspace: Workspace, change: Callable[[ImportedItem], ImportedItem]) -> None:
    """The same pictures in a catalogue of other labels or splits."""
    with workspace.collection(NAME).catalogue() as catalogue:
        found = catalogue.items(range(1, 401))
    (workspace.collection(NAME).data_folder / "catalogue.sqlite").unlink()
    with workspace.collection(NAME).catalogue() as catalogue:
        catalogue.add(change(ImportedItem(i.position, i.sha256, i.label, i.split, i.source)) for i in found)


def die(workspace: Workspace, setup: str, verb: str) -> None:
    """Run one of the verbs in a process that is killed where `setup` says so."""
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom fashion16.labels import refitting\n"
        "from fashion16.collections.workspace import Workspace\n"
        "def die(*_, **__): os.kill(os.getpid(), signal.SIGKILL)\n"
        f"{setup}\nrefitting.{verb}(Workspace(Path(sys.argv[1])).collection({NAME!r}))\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(workspace.root)], cwd=REPOSITORY, timeout=120)
    assert done.returncode == -signal.SIGKILL


# fitting and comparing


def test_a_refit_learns_todays_labels_and_leaves_what_is_in_use_alone(
    small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_pass(*_: object) -> None:
        raise AssertionError("no pass of the network is needed")

    monkeypatch.setattr(LiteNetwork, "__init__", no_pass)
    with small_workspace.collection(NAME).catalogue() as catalogue:
        revision = catalogue.rename_label("Sandal", "Slipper", "ann").corrections[-1].id
        before = catalogue.active()
    used = contents(small_workspace)
    made = refit(small_workspace.collection(NAME))
    assert (made.learnt, made.forgotten) == (("Slipper",), ("Sandal",))
    assert made.before is not None
    assert (made.before.label_revision, made.after.label_revision, made.revision) == (0, revision, revision)
    candidate = Head.read(small_workspace.collection(NAME).candidate_head_file)
    assert (candidate.categories, candidate.label_revision) == (made.after.categories, revision)
    assert contents(small_workspace).items() >= used.items()
    # nobody's label has changed, of the test split or another
    with small_workspace.collection(NAME).catalogue() as catalogue:
        np.testing.assert_array_equal(catalogue.active().labels, before.labels)
        assert catalogue.revision() == revision


def test_both_heads_are_measured_on_the_validation_split_with_todays_labels(refitted: Workspace) -> None:
    embeddings, check = checked_by(refitted)
    heads = [Head.read(refitted.collection(NAME).head_file), Head.read(refitted.collection(NAME).candidate_head_file)]
    guesses = [
        [head.categories[int(np.argmax(row @ head.weights + head.bias))] for row in embeddings] for head in heads
    ]
    labels = check.labels.tolist()
    n = len(labels)
    assert n > 10
    found = found_in(refitted)
    assert found.before is not None and found.after is not None
    for measured, guessed in zip((found.before, found.after), guesses, strict=True):
        hits = sum(guess == label for guess, label in zip(guessed, labels, strict=True))
        assert measured.accuracy is not None
        assert (measured.accuracy.value, measured.accuracy.n) == (hits / n, n)
        # Wilson's interval: the shares from which hits of n are 1.96 standard errors away
        for share in (measured.accuracy.low, measured.accuracy.high):
            if 0 < share < 1:
                assert abs(hits / n - share) == pytest.approx(1.959964 * (share * (1 - share) / n) ** 0.5, rel=1e-4)
        for label in set(labels):
            its = [guess == label for guess, is_label in zip(guessed, labels, strict=True) if is_label == label]
            assert (measured.recall[label].value, measured.recall[label].n) == (sum(its) / len(its), len(its))
        assert set(measured.recall) == set(labels)
    before, after = guesses
    triples = list(zip(before, after, labels, strict=True))
    assert found.changed == sum(b != a for b, a, _ in triples) > 0
    assert found.righted == sum(b != label == a for b, a, label in triples) > 0
    assert found.wronged == sum(b == label != a for b, a, label in triples)


def test_a_label_that_a_head_does_not_know_counts_as_wrong(refitted: Workspace) -> None:
    found = found_in(refitted)
    assert found.before is not None
    n = int((checked_by(refitted)[1].labels == "Slipper").sum())
    assert n > 0
    assert found.before.recall["Slipper"] == Figure.share(0, n)
    assert found.after.recall["Slipper"].value > 0


def test_many_corrections_in_the_training_split_make_another_head(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue:
        for item in catalogue.items(range(1, 401)):
            if item.split == "train" and item.label == "Shirt":
                catalogue.correct(item.id, "Bag", "ann", 0)
    made = refit(small_workspace.collection(NAME))
    head, candidate = (
        Head.read(small_workspace.collection(NAME).head_file),
        Head.read(small_workspace.collection(NAME).candidate_head_file),
    )
    # nobody has corrected the validation split, so the labels that are wrong now show
    assert made.before is not None and made.before.accuracy is not None and made.after.accuracy is not None
    assert made.after.accuracy.value < made.before.accuracy.value
    with small_workspace.collection(NAME).catalogue() as catalogue:
        shirts = [
            i.position for i in catalogue.items(range(1, 401)) if i.split == "train" and i.original_label == "Shirt"
        ]
    card = card_of(small_workspace)
    embeddings = np.load(small_workspace.collection(NAME).embeddings_file(card.digest, card.side_for(28, 28)))[shirts]
    assert (candidate.predict(embeddings) == "Bag").sum() > len(shirts) / 2 > (head.predict(embeddings) == "Bag").sum()


@pytest.mark.parametrize(
    "lose",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-100]),
        lambda path: replace(Head.read(path), encoder_digest="f" * 64).write(path),
    ],
)
def test_without_a_head_that_can_be_used_there_is_nothing_before(
    small_workspace: Workspace, lose: Callable[[Path], object]
) -> None:
    lose(small_workspace.collection(NAME).head_file)
    made = refit(small_workspace.collection(NAME))
    assert made.before is None
    assert (made.changed, made.righted, made.wronged, made.note) == (None, None, None, "")
    assert made.after.accuracy is not None
    assert (made.learnt, made.forgotten) == (made.after.categories, ())
    assert pending(small_workspace.collection(NAME)) == made
    swap(small_workspace.collection(NAME))
    assert small_workspace.open().searcher.head.categories == made.after.categories


def nothing_to_check(item: ImportedItem) -> ImportedItem:
    return replace(item, split="train") if item.split == "validation" else item


def only_rare_labels_to_check(item: ImportedItem) -> ImportedItem:
    return replace(item, label=f"rare {item.position}") if item.split == "validation" else item


def only_unlabelled_to_check(item: ImportedItem) -> ImportedItem:
    return replace(item, label=None) if item.split == "validation" else item


@pytest.mark.parametrize("change", [nothing_to_check, only_rare_labels_to_check, only_unlabelled_to_check])
def test_without_anything_to_measure_by_a_sentence_says_so(
    small_workspace: Workspace, change: Callable[[ImportedItem], ImportedItem]
) -> None:
    fill_anew(small_workspace, change)
    made = refit(small_workspace.collection(NAME))
    assert made.note == "No picture of the validation split has a label that a head knows, so nothing can be measured."
    assert made.before is not None
    assert (made.before.accuracy, made.after.accuracy, made.before.recall, made.after.recall) == (None, None, {}, {})
    assert (made.changed, made.righted, made.wronged) == (None, None, None)
    assert pending(small_workspace.collection(NAME)) == made


def test_pictures_that_are_not_encoded_yet_are_encoded_first(
    small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = card_of(small_workspace)
    path = small_workspace.collection(NAME).embeddings_file(card.digest, card.side_for(28, 28))
    path.rename(kept := path.with_name("kept.npy"))
    small_workspace.collection(NAME).index_file.unlink()

    def embed(stored: StoredCollection, encoder: object, progress: Callable[[int, int], None]) -> Path:
        progress(400, 400)
        return kept.rename(path)

    monkeypatch.setattr("fashion16.collections.embeddings.embed", embed)
    calls: list[tuple[int, int]] = []
    assert (
        refit(small_workspace.collection(NAME), lambda done, total: calls.append((done, total))).after.accuracy
        is not None
    )
    assert calls == [(400, 400)]
    with pytest.raises(MissingIndexError, match=f"Make one with: fashion16 index {NAME}"):
        swap(small_workspace.collection(NAME))


def test_two_categories_at_least_are_needed_without_references(small_workspace: Workspace) -> None:
    (small_workspace.encoder_folder).unlink()
    shutil.copytree(REPOSITORY / "models" / "encoder", small_workspace.encoder_folder)
    small_workspace.references_file.unlink()
    fill_anew(small_workspace, lambda item: replace(item, label="Bag"))
    used = contents(small_workspace)
    with pytest.raises(HeadError, match="at least two categories, and there are 1"):
        refit(small_workspace.collection(NAME))
    assert contents(small_workspace) == used


# waiting for a decision


def test_another_process_finds_the_same_comparison(refitted: Workspace) -> None:
    made = refit(refitted.collection(NAME))
    program = (
        "import sys\nfrom pathlib import Path\nfrom fashion16.labels.refitting import pending\n"
        f"from fashion16.collections.workspace import Workspace\n"
        f"print(pending(Workspace(Path(sys.argv[1])).collection({NAME!r})))"
    )
    command = [sys.executable, "-c", program, str(refitted.root)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == f"{made}\n"


def test_without_a_refit_nothing_waits(small_workspace: Workspace) -> None:
    used = contents(small_workspace)
    assert pending(small_workspace.collection(NAME)) is None
    with pytest.raises(HeadError, match=f"There is no new head for “{NAME}” to choose. Refit the head first."):
        swap(small_workspace.collection(NAME))
    discard(small_workspace.collection(NAME))
    assert contents(small_workspace) == used


def make_index_anew(workspace: Workspace) -> None:
    with workspace.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", catalogue.item(1).version)
    build_index(workspace.collection(NAME))


def lose_head(workspace: Workspace) -> None:
    workspace.collection(NAME).head_file.unlink()


def change_encoder(workspace: Workspace) -> None:
    card = card_of(workspace)
    workspace.encoder_folder.unlink()  # a link
    workspace.encoder_folder.mkdir()
    replace(card, digest="f" * 64).write(workspace.encoder_folder / "encoder.json")


def lose_candidate(workspace: Workspace) -> None:
    workspace.collection(NAME).candidate_head_file.unlink()


def damage_candidate(workspace: Workspace) -> None:
    path = workspace.collection(NAME).candidate_head_file
    path.write_bytes(path.read_bytes()[:-1] + b"?")


@pytest.mark.parametrize("change", [make_index_anew, lose_head, change_encoder, lose_candidate, damage_candidate])
def test_a_candidate_that_no_longer_fits_is_refused(refitted: Workspace, change: Callable[[Workspace], object]) -> None:
    change(refitted)
    used = contents(refitted)
    assert pending(refitted.collection(NAME)) is None
    with pytest.raises(HeadError, match=f"The new head of “{NAME}” is out of date: .* Refit the head."):
        swap(refitted.collection(NAME))
    assert contents(refitted) == used


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: text[:-10],
        lambda text: "[]",
        lambda text: "null",
        lambda text: "[" * 100_000,
        lambda text: text.replace('"after"', '"afterwards"'),
        lambda text: text.replace('"value": 0', '"value": "all"'),
        lambda text: json.dumps(json.loads(text) | {"after": {**json.loads(text)["after"], "recall": [1, 2]}}),
        lambda text: json.dumps(json.loads(text) | {"changed": "many"}),
        lambda text: text + "\udcff",
    ],
)
def test_a_damaged_comparison_is_none(refitted: Workspace, damage: Callable[[str], str]) -> None:
    path = report_file(refitted)
    path.write_bytes(damage(path.read_text()).encode("utf-8", "surrogateescape"))
    assert pending(refitted.collection(NAME)) is None
    with pytest.raises(HeadError, match="Refit the head first"):
        swap(refitted.collection(NAME))


def test_corrections_since_leave_the_comparison_as_it_is(refitted: Workspace) -> None:
    before = found_in(refitted)
    with refitted.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", catalogue.item(1).version)
        assert catalogue.revision() == before.revision + 1
    assert pending(refitted.collection(NAME)) == before


# choosing


def test_after_a_swap_the_collection_is_opened_with_the_candidate(refitted: Workspace) -> None:
    index = refitted.collection(NAME).index_file.read_bytes()
    candidate = refitted.collection(NAME).candidate_head_file.read_bytes()
    swap(refitted.collection(NAME))
    opened = refitted.open()
    assert "Slipper" in opened.searcher.head.categories
    assert contents(refitted) == {"head.h5": candidate, f"{NAME}.h5": index}
    assert pending(refitted.collection(NAME)) is None
    with pytest.raises(HeadError, match="Refit the head first"):
        swap(refitted.collection(NAME))
    # with the same labels there is nothing to gain by another one
    again = refit(refitted.collection(NAME))
    assert again.before == again.after
    assert (again.changed, again.righted, again.wronged) == (0, 0, 0)


def test_after_a_discard_all_is_as_before(refitted: Workspace, small_template: Path) -> None:
    discard(refitted.collection(NAME))
    assert contents(refitted) == contents(Workspace(small_template))
    assert pending(refitted.collection(NAME)) is None
    discard(refitted.collection(NAME))


@pytest.fixture(scope="session")
def partly_labelled_template(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a small workspace where every fourth picture has no label; sandals are slippers since the index."""
    root = shutil.copytree(small_template, tmp_path_factory.mktemp("partly") / "small", symlinks=True)
    made = Workspace(root)
    fill_anew(made, lambda item: replace(item, label=item.label if (item.position or 0) % 4 else None))
    build_index(made.collection(NAME))
    with made.collection(NAME).catalogue() as catalogue:
        catalogue.rename_label("Sandal", "Slipper", "ann", include_test=True)
    refit(made.collection(NAME))
    return root


@pytest.fixture
def partly_labelled(partly_labelled_template: Path, tmp_path: Path) -> Workspace:
    """Such a workspace of the test's own."""
    return Workspace(shutil.copytree(partly_labelled_template, tmp_path / "partly", symlinks=True))


def lying(index: CategoryIndex) -> dict[int, str]:
    """Where the items without a label lie: ids 1, 5, 9 and so on, as positions count from 0."""
    return {item_id: str(index.category_of(item_id)) for item_id in range(1, 401, 4)}


def test_items_without_a_label_follow_the_new_head(partly_labelled: Workspace) -> None:
    before, header = read_index(partly_labelled.collection(NAME).index_file)
    assert {"Sandal"} < set(lying(before).values())
    swap(partly_labelled.collection(NAME))
    after, header_after = read_index(partly_labelled.collection(NAME).index_file)
    head = Head.read(partly_labelled.collection(NAME).head_file)
    ids = list(range(1, 401, 4))
    assert lying(after) == dict(zip(ids, head.predict(before.embeddings(ids)).tolist(), strict=True))
    assert "Slipper" in lying(after).values() and "Sandal" not in lying(after).values()
    # the others are where they were, and whoever opens the index applies what was corrected since
    assert header_after == header
    others = [item_id for item_id in range(1, 401) if item_id not in ids]
    assert [after.category_of(i) for i in others] == [before.category_of(i) for i in others]
    opened = partly_labelled.open()
    assert "Sandal" not in opened.searcher.index.categories
    assert len(opened.searcher.index) == 400


def test_an_index_made_anew_during_a_swap_stays(partly_labelled: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow_write(*arguments: object) -> None:
        lose_head(partly_labelled)
        write_index(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(refitting, "write_index", slow_write)
    index = partly_labelled.collection(NAME).index_file.read_bytes()
    with pytest.raises(HeadError, match="out of date"):
        swap(partly_labelled.collection(NAME))
    assert partly_labelled.collection(NAME).index_file.read_bytes() == index
    assert [path.name for path in partly_labelled.collection(NAME).index_file.parent.iterdir()] == [f"{NAME}.h5"]
    assert not partly_labelled.collection(NAME).head_file.exists()


# being cut short


@pytest.mark.parametrize(
    "moment", ["refitting.Head.write = die", "refitting.replacing = die", "refitting.asdict = die"]
)
def test_a_refit_that_is_killed_leaves_the_old_head_and_nothing_to_choose(
    small_workspace: Workspace, moment: str
) -> None:
    used = contents(small_workspace)
    die(small_workspace, moment, "refit")
    assert contents(small_workspace).items() >= used.items()
    assert pending(small_workspace.collection(NAME)) is None
    # the lock went with its holder
    assert not is_taken(small_workspace.collection(NAME).import_lock)


def test_a_refit_that_is_killed_does_not_offer_its_candidate_with_an_earlier_comparison(refitted: Workspace) -> None:
    with refitted.collection(NAME).catalogue() as catalogue:
        catalogue.rename_label("Bag", "Purse", "ann")
    die(refitted, "refitting.asdict = die", "refit")
    assert "Purse" in Head.read(refitted.collection(NAME).candidate_head_file).categories
    assert pending(refitted.collection(NAME)) is None


def test_a_swap_that_is_killed_leaves_the_old_head_and_goes_on(partly_labelled: Workspace) -> None:
    head = partly_labelled.collection(NAME).head_file.read_bytes()
    waiting = found_in(partly_labelled)
    # the index has been moved over, the head has not
    moment = "move = os.replace\nos.replace = lambda a, b: die() if Path(b).name == 'head.h5' else move(a, b)"
    die(partly_labelled, moment, "swap")
    assert partly_labelled.collection(NAME).head_file.read_bytes() == head
    assert pending(partly_labelled.collection(NAME)) == waiting
    assert len(partly_labelled.open().searcher.index) == 400
    swap(partly_labelled.collection(NAME))
    assert "Slipper" in partly_labelled.open().searcher.head.categories


def test_a_swap_that_is_killed_after_the_head_has_moved_leaves_nothing_to_choose(refitted: Workspace) -> None:
    candidate = refitted.collection(NAME).candidate_head_file.read_bytes()
    die(refitted, "Path.unlink = die", "swap")
    assert refitted.collection(NAME).head_file.read_bytes() == candidate
    assert pending(refitted.collection(NAME)) is None
    discard(refitted.collection(NAME))
    assert not report_file(refitted).exists()


# one at a time


@pytest.mark.parametrize("verb", [refit, swap, discard])
def test_during_an_import_or_another_refit_nothing_is_done(
    refitted: Workspace, verb: Callable[[StoredCollection], object]
) -> None:
    used = contents(refitted)
    with only_one(refitted.collection(NAME).import_lock):
        with pytest.raises(BusyError, match=f"Another process is at work on “{NAME}”"):
            verb(refitted.collection(NAME))
        found_in(refitted)
    assert contents(refitted) == used


def test_a_refit_holds_the_lock_of_imports_while_it_runs(refitted: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    write = Head.write

    def look(head: Head, path: Path) -> None:
        seen.append(is_taken(refitted.collection(NAME).import_lock))
        write(head, path)

    monkeypatch.setattr(Head, "write", look)
    refit(refitted.collection(NAME))
    assert seen == [True]
    assert not is_taken(refitted.collection(NAME).import_lock)


def test_a_head_made_anew_during_a_refit_makes_it_out_of_date(
    refitted: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Head.write

    def another(head: Head, path: Path) -> None:
        write(replace(head, label_revision=12345), refitted.collection(NAME).head_file)
        write(head, path)

    monkeypatch.setattr(Head, "write", another)
    refit(refitted.collection(NAME))
    assert pending(refitted.collection(NAME)) is None


# what cannot be


def test_an_unknown_collection_leaves_no_trace(small_workspace: Workspace) -> None:
    with pytest.raises(DataError, match="Import it with: fashion16 import hats"):
        refit(small_workspace.collection("hats"))
    with pytest.raises(HeadError, match="Refit the head first"):
        swap(small_workspace.collection("hats"))
    discard(small_workspace.collection("hats"))
    assert pending(small_workspace.collection("hats")) is None
    assert not [path for path in small_workspace.root.rglob("*hats*")]
    for verb in (refit, swap, discard):
        with pytest.raises(WorkspaceError, match="A collection cannot be called"):
            verb(small_workspace.collection("../hats"))


def test_what_cannot_be_written_is_our_own_error(refitted: Workspace) -> None:
    report_file(refitted).unlink()
    report_file(refitted).mkdir()
    head = refitted.collection(NAME).head_file.read_bytes()
    with pytest.raises(WorkspaceError, match="refit.json could not be written"):
        refit(refitted.collection(NAME))
    with pytest.raises(WorkspaceError, match="refit.json could not be changed .*Give yourself the right"):
        discard(refitted.collection(NAME))
    assert refitted.collection(NAME).head_file.read_bytes() == head
