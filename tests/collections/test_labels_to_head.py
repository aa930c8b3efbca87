"""From imported pictures to a collection that can be searched: embeddings that grow with it, labels, and the head."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from fashion16.collections import embeddings
from fashion16.collections.embeddings import embed, stored_embeddings
from fashion16.collections.indexing import build_index, is_indexed
from fashion16.collections.workspace import Workspace
from fashion16.errors import DamagedPictureError, DataError, HeadError
from fashion16.images import to_network
from fashion16.search.encoder import EncoderCard
from fashion16.search.garments import all_classes
from fashion16.search.head import LEARNABLE
from fashion16.search.references import References
from tests.collections.test_workspace import FailingEncoder, digest_of
from tests.conftest import REPOSITORY
from tests.fakes import FakeEncoder
from tests.pictures import SHOP, bare_workspace, import_from, labels_of, photo, photos, tree

HATS, DRESSES = photos("Hat", range(20)), photos("Dress", range(20, 40))
# one too few to be learnt, and one that is just enough
CAPES = photos("Cape", range(40, 40 + LEARNABLE - 1))
GOWNS = photos("Gown", range(50, 50 + LEARNABLE))
LOOSE = {f"{number}.png": photo(number) for number in range(60, 67)}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with a collection of labels of all sizes, and its index."""
    shop = bare_workspace(tmp_path_factory.mktemp("labels") / "home")
    files = {**HATS, **DRESSES, **CAPES, **GOWNS, **LOOSE}
    import_from(shop, tree(shop.root.parent / "heap", files))
    build_index(shop.collection(SHOP))
    return shop.root


@pytest.fixture
def shop(template: Path, tmp_path: Path) -> Workspace:
    return Workspace(shutil.copytree(template, tmp_path / "home", symlinks=True))


def ids_of(workspace: Workspace) -> dict[str, int]:
    """The id of each source: they are counted in the order of the names."""
    return {source: item_id for item_id, source in enumerate(labels_of(workspace), start=1)}


# labels


def test_a_label_with_too_few_pictures_is_no_category_of_the_head_but_in_the_index(shop: Workspace) -> None:
    with closing(shop.open(SHOP)) as opened:
        assert opened.searcher.head.categories == ("Dress", "Gown", "Hat")
        assert set(opened.searcher.index.categories) == {"Cape", "Dress", "Gown", "Hat"}
        assert sorted(opened.searcher.index.partitions["Cape"].ids) == [ids_of(shop)[name] for name in sorted(CAPES)]
        cape = ids_of(shop)["Cape/045.png"]
        answer = opened.find(opened.classify(opened.picture(cape)), categories=["Cape"])
        assert answer.results[0].id == cape
        assert len(answer.results) == LEARNABLE - 1


def test_with_one_more_picture_a_label_is_learnt(shop: Workspace, tmp_path: Path) -> None:
    # one that falls into the training split, as others of the label do
    import_from(shop, tree(tmp_path / "more", {"Cape/one more.png": photo(49)}))
    head, index = build_index(shop.collection(SHOP))
    assert head.categories == ("Cape", "Dress", "Gown", "Hat")
    assert len(index) == 67


def test_items_without_a_label_lie_in_the_category_that_is_predicted_for_them(shop: Workspace) -> None:
    ids, vectors, _ = stored_embeddings(shop.collection(SHOP), digest_of(shop))
    with closing(shop.open(SHOP)) as opened:
        for name in LOOSE:
            item_id = ids_of(shop)[name]
            (predicted,) = opened.searcher.head.predict(vectors[ids == item_id])
            assert opened.searcher.index.category_of(item_id) == predicted
            photo_itself = opened.classify(opened.picture(item_id))
            assert photo_itself.category == predicted
            assert opened.find(photo_itself).results[0].id == item_id


def test_an_item_without_a_label_moves_when_it_is_given_one(shop: Workspace) -> None:
    item_id = ids_of(shop)["62.png"]
    with closing(shop.open(SHOP)) as opened:
        correction = opened.correct(item_id, "Cape", "ann", 0)
        assert (correction.old_label, correction.new_label) == (None, "Cape")
        assert opened.searcher.index.category_of(item_id) == "Cape"
    # reopened, and rebuilt with one more picture of the label
    with closing(shop.open(SHOP)) as opened:
        assert opened.searcher.index.category_of(item_id) == "Cape"
    _, index = build_index(shop.collection(SHOP))
    assert index.category_of(item_id) == "Cape"


def test_labels_imported_alike_are_no_news_for_the_index(shop: Workspace) -> None:
    assert is_indexed(shop.collection(SHOP))
    with closing(shop.open(SHOP)) as opened:
        assert opened.refresh() == 0
        assert len(opened.searcher.index) == 66


def test_every_item_of_the_collection_finds_itself(shop: Workspace) -> None:
    with closing(shop.open(SHOP)) as opened:
        ids, vectors, _ = stored_embeddings(shop.collection(SHOP), digest_of(shop))
        found = opened.searcher.index.search(vectors, opened.searcher.index.categories, k=1)
    np.testing.assert_array_equal(found.ids[:, 0], ids)


@pytest.fixture(scope="module")
def unlabelled(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    shop = Workspace(tmp_path_factory.mktemp("unlabelled") / "home")
    shop.encoder_folder.mkdir(parents=True)
    for name in ("encoder.json", "encoder.tflite", "references.h5"):
        (shop.encoder_folder / name).symlink_to(REPOSITORY / "models" / "encoder" / name)
    import_from(shop, tree(shop.root.parent / "heap", LOOSE))
    build_index(shop.collection(SHOP))
    return shop


def test_a_collection_without_labels_is_classified_by_the_references_and_searched(unlabelled: Workspace) -> None:
    references = References.read(unlabelled.references_file, digest_of(unlabelled))
    assert references is not None
    with closing(unlabelled.open(SHOP)) as opened:
        assert opened.searcher.head.categories == all_classes(references.labels.tolist())
        assert {"Dress", "Hat", "Sneaker", "Pants"} < set(opened.searcher.head.categories)
        for item_id in range(1, len(LOOSE) + 1):
            classified = opened.classify(opened.picture(item_id))
            assert opened.searcher.index.category_of(item_id) == classified.category
            assert opened.find(classified).results[0].id == item_id
        # a photo of something else is searched for all the same
        other = opened.find(opened.classify(np.zeros((40, 40, 3), np.uint8)))
        assert other.results


def test_a_collection_without_labels_needs_references(unlabelled: Workspace, tmp_path: Path) -> None:
    shop = Workspace(shutil.copytree(unlabelled.root, tmp_path / "home", symlinks=True))
    (shop.encoder_folder / "references.h5").unlink()
    with pytest.raises(HeadError, match="at least two categories, and there are 0. Add pictures with other labels."):
        build_index(shop.collection(SHOP))


# embeddings that grow


def imported(root: Path, *numbers: range, size: int = 24) -> Workspace:
    """A workspace whose collection has a picture for each number, and no encoder."""
    shop = Workspace(root / "home")
    for part in numbers:
        files = {f"{number:03}.png": photo(number, size, size) for number in part}
        import_from(shop, tree(root / "heap", files))
    return shop


def expected_rows(shop: Workspace, side: int) -> np.ndarray:
    return FakeEncoder().encode(np.stack([to_network(picture, side) for picture in shop.collection(SHOP).rows()]))


def test_only_pictures_that_are_new_are_encoded(tmp_path: Path) -> None:
    shop = imported(tmp_path, range(20))
    encoder = FailingEncoder()
    path = embed(shop.collection(SHOP), encoder)
    assert encoder.batches == [16, 4]
    imported(tmp_path, range(27))
    again, told = FailingEncoder(), []
    assert embed(shop.collection(SHOP), again, lambda done, total: told.append((done, total))) == path
    assert (again.batches, told) == ([7], [(27, 27)])
    np.testing.assert_array_equal(np.load(path), expected_rows(shop, 32))
    third = FailingEncoder()
    embed(shop.collection(SHOP), third)
    assert third.batches == []
    assert [each.name for each in path.parent.glob("embeddings*")] == [path.name]


@pytest.mark.parametrize("fails_after", [0, 1, 3, 4])
def test_an_interrupted_embedding_goes_on_though_there_are_more_pictures_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_after: int
) -> None:
    monkeypatch.setattr(embeddings, "CHUNK", 16)
    shop = imported(tmp_path, range(20))
    path = embed(shop.collection(SHOP), FailingEncoder())
    imported(tmp_path, range(80))
    with pytest.raises(KeyboardInterrupt):
        # from 20 on: 36, 52, 68, 80
        embed(shop.collection(SHOP), FailingEncoder(fails_after=min(fails_after, 3)))
    # until it is whole, the file is the old one
    assert len(np.load(path)) == 20
    imported(tmp_path, range(90))
    going_on = FailingEncoder()
    embed(shop.collection(SHOP), going_on)
    assert sum(going_on.batches) == 90 - 20 - 16 * min(fails_after, 3)
    np.testing.assert_array_equal(np.load(path), expected_rows(shop, 32))


def test_what_an_earlier_run_says_of_itself_is_not_believed_of_a_new_one(tmp_path: Path) -> None:
    shop = imported(tmp_path, range(40))
    path = embed(shop.collection(SHOP), FailingEncoder())
    path.unlink()
    # killed between its last two steps, it left this
    path.with_suffix(".json").write_text(json.dumps({"done": 40}))
    with pytest.raises(KeyboardInterrupt):
        embed(shop.collection(SHOP), FailingEncoder(fails_after=1))
    embed(shop.collection(SHOP), FailingEncoder())
    np.testing.assert_array_equal(np.load(path), expected_rows(shop, 32))


def test_a_missing_or_damaged_thumbnail_is_named_and_what_is_done_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "CHUNK", 16)
    shop = imported(tmp_path, range(100))
    with shop.collection(SHOP).catalogue() as catalogue:
        _, file, _, _ = catalogue.files()[90]
    thumbnail = shop.collection(SHOP).data_folder / "thumbnails" / file
    whole = thumbnail.read_bytes()
    thumbnail.write_bytes(whole[:20])
    with pytest.raises(DamagedPictureError, match="A stored thumbnail is damaged. Import the collection again."):
        embed(shop.collection(SHOP), FailingEncoder())
    thumbnail.unlink()
    with pytest.raises(DataError, match="is missing. Import the same pictures again."):
        embed(shop.collection(SHOP), FailingEncoder())
    imported(tmp_path, range(100))
    assert thumbnail.read_bytes() == whole
    going_on = FailingEncoder()
    path = embed(shop.collection(SHOP), going_on)
    assert sum(going_on.batches) < 100
    np.testing.assert_array_equal(np.load(path), expected_rows(shop, 32))


@pytest.mark.parametrize(
    ("sizes", "side"),
    [([28, 28, 28], 32), ([28, 28, 200], 32), ([28, 200, 200], 64), ([32, 32], 32), ([33, 33], 64), ([20, 44], 32)],
)
def test_the_side_follows_from_the_middle_of_all_sizes(tmp_path: Path, sizes: list[int], side: int) -> None:
    # FailingEncoder's card: 32 pixels a side for pictures of at most 32, else 64
    shop = Workspace(tmp_path / "home")
    files = {f"{number}.png": photo(number, size, size // 2) for number, size in enumerate(sizes)}
    import_from(shop, tree(tmp_path / "heap", files))
    encoder = FailingEncoder()
    assert shop.collection(SHOP).side(encoder.card) == side
    path = embed(shop.collection(SHOP), encoder)
    assert path == shop.collection(SHOP).data_folder / f"embeddings-{encoder.digest[:12]}-{side}.npy"
    np.testing.assert_array_equal(np.load(path), expected_rows(shop, side))


def test_where_most_pictures_have_become_large_all_are_encoded_anew(tmp_path: Path) -> None:
    shop = imported(tmp_path, range(10))
    small = embed(shop.collection(SHOP), FailingEncoder())
    import_from(shop, tree(tmp_path / "large", {f"large {n}.png": photo(n, 90, 90) for n in range(11)}))
    encoder = FailingEncoder()
    large = embed(shop.collection(SHOP), encoder)
    assert (small.name[-7:], large.name[-7:], sum(encoder.batches)) == ("-32.npy", "-64.npy", 21)


def test_nothing_to_encode_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="are not there. Fetch them with: fashion16 import shop"):
        embed(Workspace(tmp_path / "home").collection(SHOP), FailingEncoder())


def test_an_index_is_brought_up_to_date_by_encoding_what_is_new(shop: Workspace, tmp_path: Path) -> None:
    import_from(shop, tree(tmp_path / "more", photos("Hat", range(70, 75))))
    assert not is_indexed(shop.collection(SHOP))
    told: list[tuple[int, int]] = []
    _, index = build_index(shop.collection(SHOP), progress=lambda done, total: told.append((done, total)))
    assert told == [(71, 71)]
    assert is_indexed(shop.collection(SHOP))
    with closing(shop.open(SHOP)) as opened:
        for item_id in range(67, 72):
            assert opened.searcher.index.category_of(item_id) == "Hat"
            assert opened.find(opened.classify(opened.picture(item_id)), categories=["Hat"]).results[0].id == item_id
    side = EncoderCard.read(shop.encoder_folder / "encoder.json").small_side
    assert len(np.load(shop.collection(SHOP).embeddings_file(digest_of(shop), side))) == len(index) == 71
