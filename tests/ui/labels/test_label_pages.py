"""The Correct labels page as a script: what it promises, asked of the catalogue."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from fashion16 import settings
from fashion16.catalogue.rows import EXCLUDED
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.labels import issues as suspicion
from fashion16.labels.issues import LabelIssues
from fashion16.labels.selections import Selections
from tests.ui.apps import at
from ui.labels import history, queue
from ui.labels.queue import ANY, BY_ID, DECIDED, NEWEST, NO_LABEL, SUSPICION, UNDECIDED, Choice
from ui.shared import access

NAME = DEFAULT_COLLECTION
ALL = Choice(ANY, ANY, ANY, UNDECIDED, SUSPICION, "", "", False)


@pytest.fixture
def issues(home: Workspace) -> LabelIssues:
    return suspicion.rank(home.collection(NAME))


def shown(app: AppTest, view: str = "One by one") -> AppTest:
    return at("2_Correct_labels.py", app, view)


def picture(app: AppTest) -> int:
    (line,) = (element.value for element in app.markdown if element.value.startswith("Picture **"))
    return int(line.split("**")[1])


def test_the_page_begins_with_the_most_suspicious_picture(app: AppTest, issues: LabelIssues, home: Workspace) -> None:
    with home.collection(NAME).catalogue() as catalogue:
        split_of = {item.id: item.split for item in catalogue.items(issues.ids.tolist())}
    first = next(int(i) for i in issues.ids if split_of[int(i)] != "test")
    assert picture(shown(app)) == first


def test_without_a_ranking_the_order_is_by_number_and_a_ranking_is_offered(app: AppTest) -> None:
    assert picture(shown(app)) == 1
    assert app.button(key="rank").label == "Rank by suspicion"


def test_once_they_are_ranked_the_suspicious_ones_come_first(app: AppTest, home: Workspace) -> None:
    assert shown(app).selectbox(key="order").value == BY_ID
    suspicion.rank(home.collection(NAME))
    app.run()
    assert not app.exception
    assert app.selectbox(key="order").value == SUSPICION
    app.selectbox(key="order").set_value(BY_ID).run()
    assert app.selectbox(key="order").value == BY_ID


def test_strangers_may_look_and_not_correct(app: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(settings.MANAGE.variable)
    shown(app)
    assert "labels are corrected where it was made" in app.info[0].value
    assert not [button for button in app.button if button.key and button.key.startswith("key_")]


def test_each_label_has_a_key_and_a_press_is_one_decision(app: AppTest, home: Workspace) -> None:
    shown(app)
    item_id = picture(app)
    with home.collection(NAME).catalogue() as catalogue:
        names = catalogue.label_names()
        assert [app.button(key=f"key_label_{number}").label for number in range(10)] == [
            name.replace("-", "\\-") for name in names
        ]
        app.button(key="key_label_3").click().run()
        assert not app.exception
        assert catalogue.item(item_id).label == names[3]
        assert [row.who for row in catalogue.history(item_id)] == [access.GUEST]
    assert picture(app) != item_id


def test_a_decision_about_a_version_that_is_gone_changes_nothing(app: AppTest, home: Workspace) -> None:
    shown(app)
    item_id = picture(app)
    with home.collection(NAME).catalogue() as catalogue:
        catalogue.correct(item_id, "Bag", "ann", 0)
        app.button(key="key_label_0").click().run()
        assert not app.exception
        assert catalogue.item(item_id).label == "Bag"
        assert len(catalogue.history(item_id)) == 1
    assert "was changed by ann in the meantime" in app.warning[0].value
    assert picture(app) == item_id


def test_test_pictures_are_offered_only_when_asked_for(home: Workspace) -> None:
    opened = home.open()
    today = opened.catalogue.active()
    some = today.ids[:3].tolist()
    engine = opened.catalogue._engine
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE items SET split = 'test' WHERE id IN ({', '.join(map(str, some))})")
    offered = queue.ids_of(opened, None, ALL)
    assert set(offered.tolist()).isdisjoint(some)
    both = Choice(ANY, ANY, ANY, UNDECIDED, SUSPICION, "", "", True)
    assert set(some) < set(queue.ids_of(opened, None, both).tolist())
    opened.close()


def test_the_queue_follows_its_filters(home: Workspace, issues: LabelIssues) -> None:
    opened = home.open()
    today = opened.catalogue.active()
    bags = today.ids[(today.labels == "Bag") & (today.splits != "test")]
    only_bags = queue.ids_of(opened, issues, Choice("Bag", ANY, ANY, UNDECIDED, BY_ID, "", "", False))
    np.testing.assert_array_equal(only_bags, bags)
    newest = queue.ids_of(opened, issues, Choice("Bag", ANY, ANY, UNDECIDED, NEWEST, "", "", False))
    np.testing.assert_array_equal(newest, bags[::-1])

    opened.keep(int(bags[0]), "ann", 0)
    opened.exclude(int(bags[1]), "ann", 0)
    left = queue.ids_of(opened, issues, Choice("Bag", ANY, ANY, UNDECIDED, BY_ID, "", "", False))
    np.testing.assert_array_equal(left, bags[2:])
    decided = queue.ids_of(opened, issues, Choice("Bag", ANY, ANY, DECIDED, BY_ID, "", "", False))
    np.testing.assert_array_equal(decided, bags[:1])
    excluded = queue.ids_of(opened, issues, Choice(ANY, ANY, ANY, "Excluded", BY_ID, "", "", False))
    np.testing.assert_array_equal(excluded, bags[1:2])
    nothing = queue.ids_of(opened, issues, Choice(NO_LABEL, ANY, ANY, UNDECIDED, BY_ID, "", "", False))
    assert not len(nothing)

    suggested = str(issues.suggested[0])
    there = queue.ids_of(opened, issues, Choice(ANY, suggested, ANY, UNDECIDED, SUSPICION, "", "", True))
    assert set(there.tolist()) <= set(issues.ids[issues.suggested == suggested].tolist())
    partition = opened.searcher.index.partitions["Bag"]
    bucket = queue.ids_of(opened, issues, Choice(ANY, ANY, ANY, UNDECIDED, BY_ID, "", "Bag:0", True))
    assert set(bucket.tolist()) == set(partition.ids[: partition.starts[1]].tolist()) - {int(bags[0])}
    assert not len(queue.ids_of(opened, issues, Choice(ANY, ANY, ANY, UNDECIDED, BY_ID, "", "no such bucket", True)))
    assert not len(queue.ids_of(opened, issues, Choice(ANY, ANY, ANY, UNDECIDED, BY_ID, "no such file", "", True)))
    opened.close()


def test_the_grid_decides_about_what_is_ticked_and_one_undo_takes_it_back(app: AppTest, home: Workspace) -> None:
    shown(app, "Grid")
    boxes = [box for box in app.checkbox if box.key and box.key.startswith("tick_")][:3]
    ids = [int(str(box.key).rsplit("_", 1)[1]) for box in boxes]
    for box in boxes:
        box.check()
    app.run()
    app.button(key="bulk_exclude").click().run()
    assert not app.exception
    with home.collection(NAME).catalogue() as catalogue:
        assert {item.status for item in catalogue.items(ids)} == {EXCLUDED}
        app.button(key="bulk_undo").click().run()
        assert not app.exception
        assert {item.status for item in catalogue.items(ids)} == {"active"}


def test_an_undo_passes_over_what_somebody_has_changed_since(home: Workspace) -> None:
    opened = home.open()
    opened.correct(1, "Bag", access.GUEST, 0)
    opened.correct(2, "Bag", access.GUEST, 0)
    opened.correct(2, "Coat", "ann", 1)
    assert history.take_back_last(opened) == ("Picture 1 is as it was.", 1)
    assert opened.catalogue.item(2).label == "Coat"
    said, item_id = history.take_back_last(opened)
    assert "Item 2 was changed by ann" in said
    assert item_id is None
    opened.close()


def test_the_history_is_filtered_by_who_and_what(app: AppTest, home: Workspace) -> None:
    with home.collection(NAME).catalogue() as catalogue:
        catalogue.keep(1, "ann", 0)
        catalogue.correct(2, "Bag", "bob", 0, why="seen before")
    shown(app, "History")
    assert app.dataframe[0].value["who"].tolist() == ["bob", "ann"]
    app.selectbox(key="trail_who").set_value("bob").run()
    assert app.dataframe[0].value["why"].tolist() == ["seen before"]
    app.selectbox(key="trail_action").set_value("keep").run()
    assert not app.exception
    assert "Nothing was decided yet." in app.info[0].value


def test_the_data_set_view_renames_a_label_and_says_how_many(app: AppTest, home: Workspace) -> None:
    with home.collection(NAME).catalogue() as catalogue:
        n_bags = catalogue.label_counts()["Bag"]
    shown(app, "Data set")
    app.selectbox(key="label_old").set_value("Bag")
    app.selectbox(key="label_into").set_value("Shirt").run()
    app.button(key="label_rename").click().run()
    assert not app.exception
    assert f"{n_bags} pictures labelled “Bag” are labelled “Shirt” now" in app.success[0].value
    with home.collection(NAME).catalogue() as catalogue:
        assert "Bag" not in catalogue.label_counts()


def test_a_label_is_added_and_gets_a_key(app: AppTest) -> None:
    shown(app, "Data set")
    app.text_input(key="label_new").set_value("Gumboot").run()
    app.button(key="label_add").click().run()
    assert not app.exception
    app.segmented_control(key="view").set_value("One by one").run()
    assert "Gumboot" in {button.label for button in app.button}


def test_what_would_be_written_back_is_said_before(app: AppTest, home: Workspace) -> None:
    with home.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", 0)
    shown(app, "Data set")
    app.button(key="back_try").click().run()
    assert not app.exception
    assert app.success[0].value
    assert not (home.collection(NAME).data_folder / "corrected").exists()


def test_what_another_page_picked_is_shown_exactly_and_in_its_order(app: AppTest, home: Workspace) -> None:
    opened = home.open()
    test_item, decided, excluded, other = 7, 3, 5, 9
    with opened.catalogue.writing() as connection:
        connection.exec_driver_sql(f"UPDATE items SET split = 'test' WHERE id = {test_item}")
    opened.keep(decided, "ann", opened.catalogue.item(decided).version)
    opened.exclude(excluded, "ann", opened.catalogue.item(excluded).version)
    picked = [other, test_item, excluded, decided]
    selection = Selections(home.collection(NAME).selections_folder).keep("From <b>elsewhere</b>", picked)
    opened.close()
    app.query_params |= {"selection": selection.name, "status": "All", "test_too": "true"}
    shown(app, "Grid")
    assert [int(box.key.rsplit("_", 1)[1]) for box in app.checkbox if box.key.startswith("tick_")] == picked
    assert any(r"From \<b\>elsewhere\</b\>" in element.value for element in app.markdown)
    app.button(key="selection_all").click().run()
    assert app.selectbox(key="status").value == UNDECIDED
    ticks = {int(box.key.rsplit("_", 1)[1]) for box in app.checkbox if box.key.startswith("tick_")}
    assert len(ticks) == 24
    assert not ticks & {test_item, excluded, decided}


def test_a_link_to_pictures_that_are_not_kept_any_more_says_so(app: AppTest) -> None:
    app.query_params["selection"] = "0123456789abcdef"
    shown(app)
    assert "Pick them again" in app.warning[0].value
    assert picture(app) == 1
