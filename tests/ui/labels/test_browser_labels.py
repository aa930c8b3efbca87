"""Labels put right in a real browser: by keys, in the grid, by two people at once, and found by the next search."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from fashion16.catalogue.rows import EXCLUDED, Item
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.labels import issues
from tests.browsing import PHONE, WAIT, settled, watched
from tests.server import Server

NAME = DEFAULT_COLLECTION
PICTURE = re.compile(r"Picture (\d+) · (train|validation)")


@pytest.fixture(scope="module")
def home(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Four hundred pictures of Fashion-MNIST, ranked by suspicion."""
    root = shutil.copytree(small_template, tmp_path_factory.mktemp("labels") / "home", symlinks=True)
    made = Workspace(root)
    issues.rank(made.collection(NAME))
    return made


def begin(page: Page, server: Server, who: str, query: str = "") -> None:
    """Open the page as somebody."""
    page.goto(f"{server.url}/Correct_labels?view=Data+set")
    name = page.get_by_label("Your name, for the history")
    name.fill(who)
    name.press("Enter")
    page.get_by_role("radio", name="One by one").click()
    expect(page.get_by_text(PICTURE)).to_be_visible(timeout=WAIT)
    settled(page)


def current(page: Page) -> int:
    """The number of the picture whose turn it is."""
    found = PICTURE.search(page.get_by_text(PICTURE).inner_text())
    assert found
    return int(found[1])


def press(page: Page, key: str) -> int:
    """Press a key and wait for another picture; its number."""
    before = current(page)
    page.keyboard.press(key)
    expect(page.get_by_text(re.compile(rf"Picture {before} ·"))).to_have_count(0)
    settled(page)
    return current(page)


def item(home: Workspace, item_id: int) -> Item:
    with home.collection(NAME).catalogue() as catalogue:
        return catalogue.item(item_id)


def test_ten_pictures_are_labelled_by_keys_and_taken_back(page: Page, server: Server, home: Workspace) -> None:
    begin(page, server, "ann")
    with home.collection(NAME).catalogue() as catalogue:
        names = catalogue.label_names()
    seen, before = [], {}
    for number in range(10):
        item_id = current(page)
        seen.append(item_id)
        before[item_id] = item(home, item_id)
        press(page, "1234567890"[number])
        after = item(home, item_id)
        assert (after.label, after.decided) == (names[number], True)
    assert len(set(seen)) == 10
    expect(page.get_by_text("10 decided today")).to_be_visible()
    for item_id in reversed(seen):
        page.keyboard.press("z")
        expect(page.get_by_text(re.compile(rf"Picture {item_id} ·"))).to_be_visible(timeout=WAIT)
        taken_back = item(home, item_id)
        assert (taken_back.label, taken_back.decided) == (before[item_id].label, False)
    page.keyboard.press("z")
    expect(page.get_by_text("There is nothing of yours left to take back.")).to_be_visible()


def test_accept_keep_exclude_and_skip_have_keys_of_their_own(page: Page, server: Server, home: Workspace) -> None:
    begin(page, server, "bob")
    accept = page.get_by_role("button", name=re.compile("^Accept"))
    while accept.is_disabled():
        press(page, "Space")
    suggested = re.sub("^Accept | A$", "", re.sub(r"\s+", " ", accept.inner_text()))
    first = current(page)
    second = press(page, "a")
    assert item(home, first).label == suggested
    third = press(page, "k")
    assert (item(home, second).decided, item(home, second).version) == (True, 1)
    fourth = press(page, "x")
    assert item(home, third).status == EXCLUDED
    press(page, "Space")
    assert (item(home, fourth).decided, item(home, fourth).version) == (False, 0)
    assert press(page, "ArrowLeft") == fourth


def test_a_fix_is_found_by_the_next_search(page: Page, server: Server, home: Workspace) -> None:
    begin(page, server, "cid")
    item_id = current(page)
    with home.collection(NAME).catalogue() as catalogue:
        catalogue.add_label("Gumboot", "cid")
        number = catalogue.label_names().index("Gumboot")
    page.reload()
    begin(page, server, "cid")
    assert current(page) == item_id
    press(page, "1234567890B"[number])
    assert item(home, item_id).label == "Gumboot"
    page.goto(f"{server.url}/Search?source=Collection&id=1")
    page.get_by_role("radio", name="Choose").click()
    page.get_by_role("button", name="Gumboot", exact=True).click()
    expect(page.get_by_role("heading", name="1 most similar in Gumboot")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text(f"Gumboot · {item_id}")).to_be_visible()


def test_twelve_at_once_and_one_undo_for_all(page: Page, server: Server, home: Workspace) -> None:
    begin(page, server, "dan")
    page.get_by_role("radio", name="Grid").click()
    boxes = page.locator(".st-key-grid [data-testid=stCheckbox]")
    expect(boxes).to_have_count(24)
    keys = [str(key) for key in page.locator(".st-key-grid [class*=st-key-tick_]").evaluate_all(
        "all => all.map(one => [...one.classList].find(name => name.startsWith('st-key-tick_')))"
    )]  # fmt: skip
    ids = [int(key.rsplit("_", 1)[1]) for key in keys[:12]]
    for number, item_id in enumerate(ids, start=1):
        page.locator(f".st-key-tick_{item_id} label").click()
        expect(page.get_by_text(f"Label for the {number} ticked")).to_be_visible(timeout=WAIT)
    before = {item_id: item(home, item_id).label for item_id in ids}
    page.get_by_role("combobox", name="Label for the 12 ticked").click()
    page.get_by_role("option", name="Bag", exact=True).click()
    page.get_by_role("button", name="Set label").click()
    expect(page.get_by_text("12 pictures decided. Undo takes all of them back.")).to_be_visible(timeout=WAIT)
    assert {item(home, item_id).label for item_id in ids} == {"Bag"}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("12 pictures are as they were.")).to_be_visible(timeout=WAIT)
    assert {item_id: item(home, item_id).label for item_id in ids} == before


def test_two_people_are_offered_different_pictures_and_overwrite_nothing(
    page: Page, context: Callable[..., BrowserContext], server: Server, home: Workspace
) -> None:
    begin(page, server, "eve")
    item_id = current(page)
    watching = watched(context().new_page())
    other = next(watching)
    begin(other, server, "fay")
    assert current(other) != item_id
    # somebody who came another way was faster
    with home.collection(NAME).catalogue() as catalogue:
        seen = catalogue.item(item_id)
        faster = next(name for name in catalogue.label_names() if name != seen.label)
        catalogue.correct(item_id, faster, "gus", seen.version)
    page.keyboard.press("k")
    expect(page.get_by_text(f"Item {item_id} was changed by gus in the meantime")).to_be_visible(timeout=WAIT)
    assert current(page) == item_id
    assert (item(home, item_id).label, item(home, item_id).version) == (faster, seen.version + 1)
    press(page, "k")
    assert item(home, item_id).version == seen.version + 2
    with pytest.raises(StopIteration):
        next(watching)
    other.close()


def test_the_history_shows_who_did_what_and_takes_it_back(page: Page, server: Server, home: Workspace) -> None:
    begin(page, server, "hal")
    item_id = current(page)
    press(page, "x")
    page.get_by_role("radio", name="History").click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible(timeout=WAIT)
    # a table is drawn on a canvas: its first row's box is below the header, at the left edge
    box = page.get_by_test_id("stDataFrame").bounding_box()
    assert box
    page.mouse.click(box["x"] + 15, box["y"] + 52)
    page.get_by_role("button", name="Take this back").click()
    expect(page.get_by_text("1 decisions were taken back.")).to_be_visible(timeout=WAIT)
    assert item(home, item_id).status == "active"


def test_the_data_set_view_writes_the_index_and_back_to_the_files(page: Page, server: Server, home: Workspace) -> None:
    begin(page, server, "ida")
    press(page, "2")
    page.get_by_role("radio", name="Data set").click()
    page.get_by_role("button", name="Save the index").click()
    expect(page.get_by_text(re.compile("The index is saved, at revision"))).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("0 decisions since the index was written.")).to_be_visible(timeout=WAIT)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert "ida" in Path(download.value.path()).read_text(encoding="utf-8-sig")
    page.get_by_role("button", name="Refit").click()
    expect(page.get_by_role("button", name="Use the new one")).to_be_visible(timeout=4 * WAIT)
    expect(page.get_by_text("Right about the validation pictures")).to_be_visible()
    page.get_by_role("button", name="Discard it").click()
    expect(page.get_by_text("The present classifier stays.")).to_be_visible(timeout=WAIT)


def test_on_a_phone_labels_are_put_right_and_nothing_sticks_out(phone: Page, server: Server, home: Workspace) -> None:
    begin(phone, server, "jim")
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    item_id = current(phone)
    phone.get_by_role("button", name="Keep").click()
    expect(phone.get_by_text(re.compile(rf"Picture {item_id} ·"))).to_have_count(0)
    assert item(home, item_id).decided


def test_foreign_text_is_shown_letter_for_letter_and_runs_nothing(page: Page, server: Server, home: Workspace) -> None:
    hostile = "<img src=x onerror=alert(1)> **bold** [a](b) =1+1 \U0001f600"
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    opened = home.open()
    opened.rename_label("Sandal", hostile, "kim", why="<script>alert(2)</script>", include_test=True)
    item_id = int(opened.searcher.index.partitions[hostile].ids[0])
    embedding = opened.searcher.index.embeddings([item_id])
    assert embedding.any()
    opened.close()
    begin(page, server, "kim")
    expect(page.get_by_role("button", name=hostile)).to_be_visible(timeout=WAIT)
    page.get_by_role("radio", name="History").click()
    expect(page.get_by_test_id("stDataFrame")).to_be_visible(timeout=WAIT)
    page.goto(f"{server.url}/Search?source=Collection&id={item_id}")
    expect(page.get_by_text("labelled").first).to_be_visible(timeout=WAIT)
    page.get_by_role("radio", name="Choose").click()
    page.get_by_role("button", name=hostile, exact=True).click()
    expect(page.get_by_role("heading", name=f"most similar in {hostile}")).to_be_visible(timeout=WAIT)
    assert dialogs == []
