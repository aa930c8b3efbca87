"""Suspicious labels: worked out by hand on few vectors, out of sample, the same again, in and out of a file."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion16.errors import DataError, WorkspaceError
from fashion16.labels import issues as label_issues
from fashion16.labels.issues import (
    LabelIssues,
    chances,
    confusions,
    copies,
    deal,
    find_label_issues,
    learnable,
    out_of_sample,
)
from fashion16.search.head import LEARNABLE, Head
from fashion16.search.neighbours import LISTED, nearest_others
from fashion16.search.searcher import NEAR_DUPLICATE
from fashion16.types import Floats, Labels
from tests.fakes import reseal, unit_vectors

DIGEST = "d" * 64
Names = npt.NDArray[np.str_]


def cluster(axis: int, n: int, seed: int) -> Floats:
    """Unit vectors of 16 about one axis, none a near-duplicate of another: their cosines are about 0.86."""
    vectors = np.eye(16)[axis] + 0.4 * unit_vectors(n, 16, seed)
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def two_clusters(each: int = 30) -> tuple[Floats, Names]:
    """Bags, then coats."""
    return np.concatenate([cluster(0, each, 1), cluster(1, each, 2)]), np.repeat(["Bag", "Coat"], each).astype("U20")


def labelled(labels: Names | list[str], revision: int = 3) -> Labels:
    """Items 101, 102, … with these labels."""
    n = len(labels)
    return Labels(np.arange(101, 101 + n), np.arange(n), np.array(labels), np.repeat("train", n), revision)


def find(embeddings: Floats, labels: Names | list[str], **choices: object) -> LabelIssues:
    return find_label_issues(embeddings, labelled(labels), DIGEST, **choices)  # type: ignore[arg-type]


def row_of(issues: LabelIssues, item_id: int) -> int:
    return int(np.flatnonzero(issues.ids == item_id)[0])


def test_a_wrong_label_among_two_clean_clusters_comes_first() -> None:
    embeddings, labels = two_clusters()
    labels[7] = "Coat"
    issues = find(embeddings, labels)
    assert issues.ids[0] == 108
    assert (issues.given[0], issues.suggested[0]) == ("Coat", "Bag")
    assert issues.score[0] > 5 * issues.score[1]
    # of two labels
    assert issues.p_given[0] + issues.p_suggested[0] == pytest.approx(1)
    assert issues.disagreement[0] == 1  # all ten of its neighbours are bags
    assert (issues.suggested[1:] == issues.given[1:]).all()
    assert (issues.twin == -1).all()
    assert len(issues) == 60
    assert (issues.revision, issues.encoder_digest) == (3, DIGEST)


@pytest.mark.parametrize("by", ["self_confidence", "normalized_margin", "disagreement"])
def test_each_measure_puts_the_wrong_label_first(by: str) -> None:
    embeddings, labels = two_clusters()
    labels[7] = "Coat"
    issues = find(embeddings, labels)
    order = issues.order(by)
    assert issues.ids[order[0]] == 108
    np.testing.assert_array_equal(np.sort(order), np.arange(60))
    assert (np.diff(getattr(issues, by)[order]) <= 0).all()


def test_the_order_by_suspicion_is_that_of_the_queue_and_ties_keep_it() -> None:
    issues = find(*two_clusters())
    np.testing.assert_array_equal(issues.order("suspicion"), np.arange(60))
    level = replace(issues, disagreement=np.zeros(60, np.float32))
    np.testing.assert_array_equal(level.order("disagreement"), np.arange(60))
    with pytest.raises(ValueError, match="received 'score'"):
        issues.order("score")


def test_the_neighbours_are_the_nearest_others_in_any_category() -> None:
    embeddings, labels = two_clusters()
    issues = find(embeddings, labels)
    cosines = embeddings @ embeddings.T - 2 * np.eye(60)
    for row, item_id in enumerate(issues.ids):
        expected = 101 + np.argsort(-cosines[item_id - 101], kind="stable")[:5]
        assert issues.neighbours[row].tolist() == expected.tolist()
    assert issues.labels_of(np.array([160, -1, 101, 999])).tolist() == ["Coat", "", "Bag", ""]


def test_one_who_has_few_others_has_fewer_neighbours() -> None:
    issues = find(cluster(0, 3, seed=5), ["Bag", "Bag", "Bag"])
    assert np.sort(issues.neighbours, axis=1)[:, :3].tolist() == [[-1, -1, -1]] * 3
    assert {int(i) for i in issues.neighbours.ravel()} == {-1, 101, 102, 103}


def test_a_twin_with_another_label_comes_before_everything() -> None:
    embeddings, labels = two_clusters()
    labels[7] = "Coat"  # plainly wrong
    embeddings, labels = np.concatenate([embeddings, embeddings[45:46]]), np.append(labels, "Bag")
    issues = find(embeddings, labels)
    assert issues.ids[0] == 161
    assert issues.twin[0] == 146
    assert issues.ids[1] == 108
    # the one that is likelier right does not come first with it
    assert (issues.twin[1:] == -1).all()
    assert issues.neighbours[0, 0] == 146


def test_twins_of_which_neither_is_likelier_wrong_come_first_both() -> None:
    embeddings = np.concatenate([cluster(0, 4, seed=6), np.eye(16, dtype=np.float32)[[9, 9]]])
    issues = find(embeddings, ["Bag"] * 4 + ["Coat", "Hat"])
    assert issues.ids[:2].tolist() == [105, 106]
    assert issues.twin.tolist() == [106, 105, -1, -1, -1, -1]


def test_of_many_copies_the_one_with_another_label_comes_first() -> None:
    embeddings, labels = two_clusters()
    embeddings = np.concatenate([embeddings, embeddings[:1].repeat(20, axis=0)])
    issues = find(embeddings, [*labels, *["Bag"] * 19, "Coat"])
    assert issues.ids[0] == 180
    assert issues.twin[0] == 101
    assert (issues.twin[1:] == -1).all()


def test_a_look_alike_is_a_twin_only_from_the_near_duplicates_on() -> None:
    for cosine, is_twin in ((NEAR_DUPLICATE + 0.001, True), (NEAR_DUPLICATE - 0.001, False)):
        pair = np.zeros((2, 16), np.float32)
        pair[0, 0] = 1
        pair[1, :2] = cosine, (1 - cosine**2) ** 0.5
        assert (find(pair, ["Bag", "Coat"]).twin >= 0).all() == is_twin


def test_the_probabilities_of_a_fold_do_not_know_its_labels() -> None:
    embeddings, labels = two_clusters()
    fold, categories = np.arange(60) % 3, np.array(["Bag", "Coat"])
    before = out_of_sample(embeddings, labels, categories, fold)
    its = fold == 1
    changed = np.where(its, np.where(labels == "Bag", "Coat", "Bag"), labels)
    after = out_of_sample(embeddings, changed, categories, fold)
    np.testing.assert_array_equal(after[its], before[its])
    assert not np.allclose(after[~its], before[~its])
    np.testing.assert_allclose(before.sum(axis=1), 1, atol=1e-5)


def test_no_head_is_fitted_on_an_item_that_it_judges_nor_on_its_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings, labels = two_clusters()
    embeddings = np.concatenate([embeddings, embeddings])  # each twice
    fitted: list[set[bytes]] = []
    judged: list[set[bytes]] = []
    fit, probabilities = Head.fit, Head.probabilities

    def watched_fit(embeddings: Floats, *rest: object) -> Head:
        fitted.append({row.tobytes() for row in embeddings})
        return fit(embeddings, *rest)  # type: ignore[arg-type]

    def watched(self: Head, embeddings: Floats) -> Floats:
        judged.append({row.tobytes() for row in embeddings})
        return probabilities(self, embeddings)

    monkeypatch.setattr(Head, "fit", watched_fit)
    monkeypatch.setattr(Head, "probabilities", watched)
    find(embeddings, [*labels, *labels], folds=4)
    assert len(fitted) == len(judged) == 4
    assert all(known.isdisjoint(asked) for known, asked in zip(fitted, judged, strict=True))
    assert set.union(*judged) == {row.tobytes() for row in embeddings}


def test_copies_with_one_wrong_label_do_not_vouch_for_each_other() -> None:
    embeddings, labels = two_clusters()
    embeddings = np.concatenate([embeddings, embeddings[:1].repeat(11, axis=0)])
    issues = find(embeddings, ["Coat", *labels[1:], *["Coat"] * 11])
    assert set(issues.ids[:12].tolist()) == {101, *range(161, 172)}
    assert (issues.suggested[:12] == "Bag").all()
    for item_id in (101, 171):
        at = row_of(issues, item_id)
        assert (issues.labels_of(issues.neighbours[at]) == "Coat").all()  # the copies are the nearest all the same
        assert issues.disagreement[at] == 1


def groups_of(embeddings: Floats) -> npt.NDArray[np.int64]:
    return copies(embeddings, *nearest_others(embeddings))


def test_copies_have_the_first_of_them_as_their_original() -> None:
    embeddings, _ = two_clusters(each=5)
    nearly = embeddings[3] + 0.01 * unit_vectors(1, 16, seed=4)[0]
    embeddings = np.concatenate([embeddings, embeddings[[2, 2]], nearly[None] / np.linalg.norm(nearly)])
    assert groups_of(embeddings.astype(np.float32)).tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 2, 2, 3]


def test_more_copies_than_are_listed_have_one_original() -> None:
    embeddings = np.concatenate([cluster(0, 3, seed=7), cluster(1, 1, seed=8).repeat(3 * LISTED, axis=0)])
    assert groups_of(embeddings).tolist() == [0, 1, 2, *[3] * 3 * LISTED]


def test_a_chain_of_look_alikes_is_no_group() -> None:
    # each ten degrees, cosine 0.985, past the one before: the second is a copy of the first, the third of none
    angles = np.radians([0, 9, 18, 27])
    chain = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert groups_of(chain).tolist() == [0, 0, 2, 2]


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), n=st.integers(1, 40), doubled=st.integers(0, 20))
def test_an_original_is_its_own_and_a_near_duplicate_of_each_of_its_copies(seed: int, n: int, doubled: int) -> None:
    rng = np.random.default_rng(seed)
    embeddings = unit_vectors(n, 3, seed)
    embeddings = np.concatenate([embeddings, embeddings[rng.integers(0, n, doubled)]])
    groups = groups_of(embeddings)
    np.testing.assert_array_equal(groups[groups], groups)
    assert (groups <= np.arange(len(groups))).all()
    assert (np.einsum("nd,nd->n", embeddings, embeddings[groups]) >= NEAR_DUPLICATE - 1e-5).all()
    _, first, same = np.unique(embeddings, axis=0, return_index=True, return_inverse=True)
    np.testing.assert_array_equal(groups, groups[first[same.ravel()]])


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 999), n=st.integers(1, 60), folds=st.integers(2, 6))
def test_copies_lie_in_one_fold_and_each_label_in_all(seed: int, n: int, folds: int) -> None:
    rng = np.random.default_rng(seed)
    given = rng.integers(0, 3, n)
    copied = rng.random(n) < 0.3
    copied[0] = False
    groups = np.where(copied, rng.choice(np.flatnonzero(~copied), n), np.arange(n))
    fold = deal(given, groups, folds)
    np.testing.assert_array_equal(fold, fold[groups])
    assert ((fold >= 0) & (fold < folds)).all()
    originals = np.unique(groups)
    for label in range(3):
        sizes = np.bincount(fold[originals][given[originals] == label], minlength=folds)
        assert sizes.max() - sizes.min() <= 1


def test_a_label_can_be_learnt_from_enough_pictures_that_are_no_copies() -> None:
    given = np.repeat([0, 1, 2], [LEARNABLE, LEARNABLE, LEARNABLE - 1])
    groups = np.arange(len(given))
    assert learnable(given, groups, 5).tolist() == [0, 1]
    assert learnable(given, groups, LEARNABLE + 1).tolist() == []
    groups[1] = 0  # a copy
    assert learnable(given, groups, 5).tolist() == []  # one alone is nothing to tell apart


def test_a_label_with_few_pictures_is_judged_by_its_neighbours_alone() -> None:
    embeddings, labels = two_clusters(each=200)
    labels[[3, 240]] = "Bga", "Coatt"
    labels[8] = "Coat"
    issues = find(embeddings, labels)
    assert issues.ids[:3].tolist() == [109, 104, 341]  # first what is likelier wrong than right
    assert issues.suggested[:3].tolist() == ["Bag", "Bag", "Coat"]
    assert issues.score[0] > 0.5
    assert issues.score[1:3].tolist() == [0.5, 0.5]
    assert issues.self_confidence[1:3].tolist() == issues.normalized_margin[1:3].tolist() == [0.5, 0.5]
    assert issues.p_suggested[1:3].tolist() == [0.5, 0.5]


def test_without_two_labels_to_learn_the_neighbours_alone_judge() -> None:
    embeddings, labels = two_clusters(each=6)
    labels[2] = "Coat"
    issues = find(embeddings, labels)
    # of eleven others ten vote: all five bags and five of the six coats
    at = row_of(issues, 103)
    assert issues.disagreement[at] == pytest.approx(0.5)
    assert issues.score[at] == pytest.approx(0.25)
    assert (issues.self_confidence == 0.5).all()


def test_one_label_alone_is_nothing_to_suspect() -> None:
    embeddings, _ = two_clusters()
    issues = find(embeddings, ["Bag"] * 60)
    assert (issues.score == 0).all()
    assert (issues.suggested == "Bag").all()
    assert (issues.p_suggested == 1).all()
    assert issues.ids.tolist() == list(range(101, 161))


def test_an_item_alone_is_judged_by_nobody() -> None:
    issues = find(cluster(0, 1, seed=9), ["Bag"])
    assert (issues.score[0], issues.suggested[0], issues.twin[0]) == (0, "Bag", -1)
    assert issues.neighbours.tolist() == [[-1] * 5]


def test_items_without_a_label_are_left_out() -> None:
    embeddings, labels = two_clusters()
    some = np.concatenate([embeddings[:5], embeddings])
    issues = find(some, [*[""] * 5, *labels])
    whole = find(embeddings, labels)
    np.testing.assert_array_equal(issues.ids, whole.ids + 5)
    np.testing.assert_array_equal(issues.score, whole.score)
    assert (issues.neighbours > 105).all()


def test_without_any_label_there_is_nothing_to_judge() -> None:
    with pytest.raises(DataError, match="There are no labels to judge. Give some pictures a label first."):
        find(cluster(0, 3, seed=1), ["", "", ""])


def test_arguments_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="received 3 embeddings, 2 labels"):
        find(cluster(0, 3, seed=1), ["Bag", "Coat"])
    with pytest.raises(ValueError, match="1 folds"):
        find(cluster(0, 2, seed=1), ["Bag", "Coat"], folds=1)


def assert_same(one: LabelIssues, other: LabelIssues) -> None:
    for field in fields(LabelIssues):
        before, after = getattr(one, field.name), getattr(other, field.name)
        np.testing.assert_array_equal(after, before)
        if isinstance(before, np.ndarray) and before.dtype.kind != "U":
            assert after.dtype == before.dtype


def test_the_same_items_have_the_same_answer_ties_too() -> None:
    embeddings, labels = two_clusters()
    embeddings[::4] = embeddings[0]  # fifteen copies of one bag, half of them called coats
    assert_same(find(embeddings, labels), find(embeddings, labels))


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), n=st.integers(1, 60), n_labels=st.integers(1, 4))
def test_whatever_the_labels_every_number_is_one(seed: int, n: int, n_labels: int) -> None:
    rng = np.random.default_rng(seed)
    embeddings = unit_vectors(n, 4, seed)[rng.integers(0, n, n)]
    issues = find(embeddings, np.array(["a", "b", "c", "d"])[rng.integers(0, n_labels, n)])
    np.testing.assert_array_equal(np.sort(issues.ids), np.arange(101, 101 + n))
    for name in ("p_given", "p_suggested", "self_confidence", "normalized_margin", "disagreement", "score"):
        values = getattr(issues, name)
        assert values.dtype == np.float32
        assert ((values >= -1e-6) & (values <= 1 + 1e-6)).all()
    first = issues.twin >= 0
    assert (np.diff(first.astype(int)) <= 0).all()  # those with a twin, then all others
    assert (np.diff(issues.score[first]) <= 0).all()
    assert (np.diff(issues.score[~first]) <= 0).all()
    assert (issues.labels_of(issues.twin[first]) != issues.given[first]).all()
    assert (issues.neighbours != issues.ids[:, None]).all()


@pytest.mark.parametrize("each", [30, 3])
def test_progress_rises_and_ends_at_its_total(each: int) -> None:
    seen: list[tuple[int, int]] = []
    find(*two_clusters(each), progress=lambda done, total: seen.append((done, total)))
    assert {total for _, total in seen} == {4 * each}
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1] == (4 * each, 4 * each)
    assert len(seen) > (5 if each == 30 else 1)


def test_many_items_are_compared_by_cells_with_nearly_the_same_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = np.concatenate([cluster(axis, 250, seed=axis) for axis in range(8)])
    _, exact = nearest_others(embeddings)
    monkeypatch.setattr("fashion16.search.neighbours.EXACT_UP_TO", 100)
    monkeypatch.setattr("fashion16.search.neighbours.BLOCK", 300)
    cosines, nearest = nearest_others(embeddings)
    shared = [len(set(some) & set(others)) for some, others in zip(nearest.tolist(), exact.tolist(), strict=True)]
    assert np.mean(shared) > 0.9 * LISTED
    assert (nearest != np.arange(2000)[:, None]).all()
    np.testing.assert_allclose(cosines, np.einsum("nd,nkd->nk", embeddings, embeddings[nearest]), atol=1e-5)


def test_confusions_counted_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(label_issues, "ANY_LABEL", 0.2)
    # four items called 0, of which one is surely 1; four called 1
    beliefs = np.array([[0.9, 0.1]] * 3 + [[0.1, 0.9]] * 5, np.float32)
    given = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    # usual beliefs: 0.7 and 0.9; sure of 0: three; sure of 1: five, of which one is called 0; and one more of each:
    # called 0: 4 of 0 and 1 of 1, which is scaled to 3.2 and 0.8; called 1: 5 of 1, scaled to 4
    expected = np.array([[1, 0], [0.8 / 4.8, 4 / 4.8]])
    np.testing.assert_allclose(confusions(beliefs, given), 0.8 * expected + 0.1, atol=1e-6)


def test_a_common_confusion_makes_its_label_suspicious() -> None:
    # half of category 0 is called 1, so nothing is surer than even of an item of it, and 1 is not suspicious by itself
    beliefs = np.array([[0.5, 0.5]] * 40 + [[0.02, 0.98]] * 40, np.float32)
    given = np.array([0, 1] * 20 + [1] * 40)
    truth, posterior = chances(beliefs, given)
    np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-5)
    assert (truth[:40, 0] > 0.6).all()
    assert (posterior[1:40:2, 1] < posterior[40:, 1].min()).all()
    assert (posterior[0:40:2, 0] > 0.8).all()


def some(n: int = 60) -> LabelIssues:
    embeddings, labels = two_clusters(n // 2)
    labels[7] = "Coat"
    return find(embeddings, labels)


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "label-issues.h5"
    issues = some()
    issues.write(path)
    read = LabelIssues.read(path, DIGEST)
    assert read is not None
    assert_same(issues, read)


@settings(deadline=None, max_examples=20)
@given(
    names=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), min_size=3)
)
def test_labels_of_any_text_come_back(names: list[str]) -> None:
    issues = find(unit_vectors(len(names), 8, seed=1), names)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "label-issues.h5"
        issues.write(path)
        read = LabelIssues.read(path, DIGEST)
    assert read is not None
    assert_same(issues, read)


def test_no_ranking_and_one_of_another_encoder_are_none(tmp_path: Path) -> None:
    path = tmp_path / "label-issues.h5"
    assert LabelIssues.read(path, DIGEST) is None
    some().write(path)
    assert LabelIssues.read(path, "another") is None


@pytest.mark.parametrize(
    "harm",
    [
        lambda whole: b"",
        lambda whole: whole[: len(whole) // 2],
        lambda whole: whole[:-1] + bytes([whole[-1] ^ 1]),
        lambda whole: whole.replace(b"fashion16-label-issues 1 ", b"fashion16-label-issues 9 ", 1),
        lambda whole: whole.replace(b"fashion16-label-issues", b"fashion16-head", 1),
        lambda whole: b"my holiday pictures " * 1000,
    ],
    ids=["empty", "cut off", "altered", "newer", "another kind", "foreign"],
)
def test_a_ranking_that_cannot_be_used_is_none(tmp_path: Path, harm: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "label-issues.h5"
    some().write(path)
    path.write_bytes(harm(path.read_bytes()))
    assert LabelIssues.read(path, DIGEST) is None


@pytest.mark.parametrize("missing", ["names", "revision", "encoder_digest", "given", "score", "neighbours"])
def test_a_ranking_without_one_of_its_parts_is_none(tmp_path: Path, missing: str) -> None:
    path = tmp_path / "label-issues.h5"
    some().write(path)
    with h5py.File(path, "a") as file:
        del (file.attrs if missing in file.attrs else file)[missing]
    reseal(path)
    assert LabelIssues.read(path, DIGEST) is None


def test_a_folder_that_may_not_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("a file")
    with pytest.raises(WorkspaceError, match="could not be written"):
        some().write(tmp_path / "models" / "label-issues.h5")
