"""The Index explorer as a script: what each view says, asked of the index."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from fashion16 import settings
from fashion16.catalogue.rows import Change
from fashion16.collections import indexing
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.explore import buckets
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import read_index, settings_in
from fashion16.search.partition import Partition, Tuning
from tests.ui.apps import at, fresh
from ui.explorer import categories, what_if
from ui.explorer.what_if import Settings

NAME = DEFAULT_COLLECTION


def index_of(home: Workspace) -> CategoryIndex:
    return read_index(home.collection(NAME).index_file)[0]


def tune(home: Workspace, category: str, key_bits: int) -> None:
    opened = home.open()
    indexing.retune(opened, tunings={category: Tuning(key_bits=key_bits)})
    opened.close()


shown = partial(at, "3_Index_explorer.py")


def cards(app: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in app.metric}


def test_the_overview_has_a_row_for_each_category_and_the_whole_beside_it(app: AppTest, home: Workspace) -> None:
    shown(app)
    index = index_of(home)
    table = app.dataframe(key="overview_table").value
    assert table["category"].tolist() == list(index.categories)
    assert table["items"].tolist() == [len(index.partitions[name]) for name in index.categories]
    sizes = np.concatenate([np.diff(partition.starts) for partition in index.partitions.values()])
    assert cards(app)["Items"] == "400"
    assert cards(app)["In use"] == f"{(sizes > 0).sum()}"
    assert cards(app)["Candidates"] == f"{(sizes**2).sum() / 400:,.0f}"


def test_the_bars_show_what_is_chosen_and_a_link_keeps_it(app: AppTest) -> None:
    shown(app, bars="Unevenness")
    assert app.selectbox(key="bars").value == "gini"
    assert any("The Gini coefficient of the buckets" in caption.value for caption in app.caption)
    app.selectbox(key="bars").set_value("items").run()
    assert not app.exception
    assert any("Pictures in the category." in caption.value for caption in app.caption)


def test_a_link_opens_a_bucket_and_none_opens_the_fullest(app: AppTest, home: Workspace) -> None:
    tune(home, "Bag", 4)
    sizes = buckets.sizes_of(index_of(home).partitions["Bag"])
    smallest = int(np.flatnonzero(sizes)[-1])
    shown(app, view="Buckets", category="Bag", bucket=str(smallest))
    assert cards(app)["Pictures"] == f"{sizes[smallest]}"
    assert any(line.value.startswith(f"**Bucket {smallest}**") for line in app.markdown)
    app.number_input(key="bucket").set_value(None).run()
    assert not app.exception
    assert cards(app)["Pictures"] == f"{sizes.max()}"
    assert cards(app)["Rank"] == "1"


def test_a_bucket_that_is_not_there_opens_the_fullest(app: AppTest, home: Workspace) -> None:
    shown(app, view="Buckets", category="Bag", bucket="99999")
    assert cards(app)["Rank"] == "1"
    assert "Pictures" in cards(app)


def test_an_empty_bucket_says_so(app: AppTest, home: Workspace) -> None:
    tune(home, "Bag", 10)
    empty = int(np.flatnonzero(buckets.sizes_of(index_of(home).partitions["Bag"]) == 0)[0])
    shown(app, view="Buckets", category="Bag", bucket=str(empty))
    assert [info.value for info in app.info] == ["This bucket is empty."]


def test_the_buckets_of_a_size_are_listed_until_they_are_closed(app: AppTest, home: Workspace) -> None:
    tune(home, "Bag", 4)
    sizes = buckets.sizes_of(index_of(home).partitions["Bag"])
    low = int(np.bincount(sizes).argmax())
    shown(app, view="Buckets", category="Bag", sizes=f"{low}-{low}")
    listed = app.dataframe(key="listed").value
    assert set(listed["bucket"]) == set(np.flatnonzero(sizes == low).tolist())
    app.button(key="close_sizes").click().run()
    assert not app.exception
    assert not [frame for frame in app.dataframe if frame.key == "listed"]


def test_pictures_that_the_classifier_takes_for_something_else_are_counted(app: AppTest, home: Workspace) -> None:
    opened = home.open()
    items = opened.catalogue.items(index_of(home).partitions["Trouser"].ids[:3].tolist())
    opened.decide_all([Change(item.id, item.version, "Sneaker", None) for item in items], "ann")
    opened.close()
    tune(home, "Sneaker", 0)
    shown(app, view="Buckets", category="Sneaker")
    odd = app.button(key="send_odd").label
    assert int(odd.split()[2]) >= 3  # trousers look like no sneaker
    assert cards(app)["Key bits"] == "0"


def test_a_category_of_one_picture_has_one_bucket(app: AppTest, home: Workspace) -> None:
    opened = home.open()
    item = opened.catalogue.item(int(index_of(home).partitions["Bag"].ids[0]))
    opened.catalogue.add_label("<b>*Hat*</b>", "ann")
    opened.correct(item.id, "<b>*Hat*</b>", "ann", item.version)
    opened.close()
    shown(app)
    assert "<b>*Hat*</b>" in app.dataframe(key="overview_table").value["category"].tolist()
    app = shown(fresh(), view="Buckets", category="<b>*Hat*</b>")
    assert (cards(app)["Items"], cards(app)["Buckets"], cards(app)["Alike"]) == ("1", "1", "–")
    app = shown(fresh(), view="What if", category="<b>*Hat*</b>")
    assert cards(app)["Recall@20"] == "100.0%"
    app.slider(key="key_bits").set_value(3).run()
    assert not app.exception
    assert (cards(app)["Buckets"], cards(app)["In use"]) == ("8", "1")
    assert any("&lt;" not in line.value and r"\<b\>\*Hat\*" in line.value for line in app.caption)


def test_what_if_begins_with_todays_settings_and_shows_other_ones_beside(app: AppTest, home: Workspace) -> None:
    shown(app, view="What if", category="Bag")
    partition = index_of(home).partitions["Bag"]
    assert app.slider(key="key_bits").value == partition.key_bits
    assert (app.select_slider(key="n_bits").value, app.slider(key="seed").value) == (512, 2019)
    assert {metric.delta for metric in app.metric} == {"as today"}
    assert app.button(key="use_this").disabled
    app.slider(key="key_bits").set_value(5).run()
    app.select_slider(key="n_bits").set_value(128).run()
    assert not app.exception
    assert cards(app)["Buckets"] == "32"
    assert cards(app)["Bytes a picture"] == f"{128 // 8 + 512 + 8}"
    changed = {metric.label: metric.delta for metric in app.metric}
    assert changed["Buckets"] == f"+{32 - 2**partition.key_bits} from {2**partition.key_bits}"
    assert changed["Bytes a picture"] == "-48 from 584"
    expected = buckets.what_if(partition, 128, 5, 2019)
    assert cards(app)["Candidates"] == f"{expected.figures.expected_candidates:,.0f}"
    assert index_of(home).hyperplanes.n_bits == 512


def test_use_this_rebuilds_the_index_and_back_to_automatic_undoes_it(app: AppTest, home: Workspace) -> None:
    before = {name: part.key_bits for name, part in index_of(home).partitions.items()}
    shown(app, view="What if", category="Bag")
    app.slider(key="key_bits").set_value(4).run()
    app.slider(key="seed").set_value(7).run()
    app.slider(key="n_probes").set_value(3).run()
    app.button(key="use_this").click().run()
    assert not app.exception
    settings = settings_in(home.collection(NAME).index_file)
    assert (settings.n_bits, settings.seed, settings.tunings) == (512, 7, {"Bag": Tuning(4, 3)})
    assert {name: part.key_bits for name, part in index_of(home).partitions.items()} == before | {"Bag": 4}
    assert "The index is rebuilt" in app.success[0].value
    assert (app.slider(key="key_bits").value, app.slider(key="seed").value, app.slider(key="n_probes").value) == (
        4,
        7,
        3,
    )
    assert {metric.delta for metric in app.metric} == {"as today"}

    app.button(key="automatic").click().run()
    assert not app.exception
    settings = settings_in(home.collection(NAME).index_file)
    assert (settings.n_bits, settings.seed, settings.tunings) == (512, 2019, {})
    assert {name: part.key_bits for name, part in index_of(home).partitions.items()} == before
    assert app.button(key="automatic").disabled


def test_a_seed_that_the_index_cannot_have_is_explained_and_nothing_is_written(app: AppTest, home: Workspace) -> None:
    written = home.collection(NAME).index_file.read_bytes()
    shown(app, view="What if", category="Bag")
    app.slider(key="seed").set_value(16).run()  # the seed that has turned the embeddings
    app.button(key="use_this").click().run()
    assert not app.exception
    assert "Choose another seed" in app.error[0].value
    assert home.collection(NAME).index_file.read_bytes() == written


def test_strangers_may_try_and_not_rebuild(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.MANAGE.variable)
    shown(app, view="What if", category="Bag", key_bits="6")
    assert cards(app)["Buckets"] == "64"
    assert not [button for button in app.button if button.key in ("use_this", "automatic")]
    assert any("rebuilt where it was made" in caption.value for caption in app.caption)


@pytest.mark.parametrize("view", ["Follow a query", "Health"])
def test_the_other_views_open(app: AppTest, view: str) -> None:
    shown(app, view=view)
    assert app.segmented_control(key="view").value == view


def test_what_will_change_is_said_with_its_extent() -> None:
    today = Settings(8, 512, 2019, 0)
    assert what_if.changes_between("Bag", today, today) == []
    assert what_if.changes_between("A*", today, Settings(9, 256, 7, 1)) == [
        r"A\* gets 512 buckets, named by 9 bits, in place of 256.",
        r"A search of A\* probes 1 bucket.",
        "All categories get codes of 256 bits in place of 512.",
        "All categories are cut by the hyperplanes of seed 7 in place of 2019.",
    ]


def test_what_was_worked_out_of_a_partition_is_never_taken_for_another_ones(home: Workspace) -> None:
    partition: Partition = index_of(home).partitions["Bag"]
    marks = {categories.mark(partition)}
    assert categories.mark(partition) in marks
    for _ in range(50):  # each may lie where the one before lay
        partition = partition.without(np.array([0]))
        assert categories.mark(partition) not in marks
        marks.add(categories.mark(partition))
        if len(partition) < 2:
            break
