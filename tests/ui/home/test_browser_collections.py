"""Collections of a person's own in a real browser: added, watched, searched, renamed, removed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from fashion16 import settings
from fashion16.catalogue.imports import ImportLog
from fashion16.collections import manage
from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from tests.browsing import PHONE, WAIT, results, stop_job, unfold
from tests.pictures import photos
from tests.server import Server

LABELS = {"Bag": 10, "Ankle boot": 12, "Dress": 4}


@pytest.fixture(scope="module")
def home(workspace: Workspace, quick_encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace of these tests' own, with Fashion-MNIST in it."""
    root = tmp_path_factory.mktemp("shelf")
    (root / "models").mkdir()
    (root / "indexes").mkdir()
    (root / "data").mkdir()
    (root / "models" / "encoder").symlink_to(quick_encoder)
    for name in ("models/fashion-mnist", "indexes/fashion-mnist.h5", "data/fashion-mnist"):
        (root / name).symlink_to(workspace.root / name)
    return Workspace(root)


@pytest.fixture(scope="module")
def server_options() -> dict[str, Any]:
    return {"address": None, settings.MANAGE.variable: "local"}


@pytest.fixture(scope="module")
def heap(collection: Collection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ZIP of photos, a folder for each label, and a broken one among them."""
    path = tmp_path_factory.mktemp("heap") / "My Shop.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for label, n in LABELS.items():
            for item_id in collection.searcher.index.partitions[label].ids[:n]:
                picture = Image.fromarray(collection.picture(int(item_id))).resize((150, 200), Image.Resampling.BICUBIC)
                file = io.BytesIO()
                picture.convert("RGB").save(file, "JPEG", quality=90)
                archive.writestr(f"{label}/{item_id}.jpg", file.getvalue())
        archive.writestr("Bag/broken.jpg", b"\xff\xd8\xff no picture")
    return path


def add(page: Page, url: str, heap: Path, name: str = "") -> None:
    """Upload the ZIP on the home page and begin its import."""
    page.goto(url)
    expect(page.get_by_text("Pick a picture to begin")).to_be_visible(timeout=WAIT)
    unfold(page, "Add a collection")
    page.get_by_label("Name", exact=True).fill(name)
    page.locator("input[type=file]").set_input_files(heap)
    expect(page.get_by_text(heap.name)).to_be_visible()
    page.get_by_role("button", name="Import").click()


def test_a_zip_is_uploaded_watched_and_searched(page: Page, server: Server, home: Workspace, heap: Path) -> None:
    add(page, server.url, heap)
    expect(page.get_by_text("is being made searchable")).to_be_visible()
    # a page may be reloaded meanwhile: the import is a process of its own
    page.reload()
    expect(page.get_by_text("my-shop is ready: 26 pictures added, 0 there already, 1 skipped")).to_be_visible(
        timeout=4 * WAIT
    )
    page.get_by_role("button", name="Open it").click()
    expect(page.get_by_text("Too small to learn, with fewer than 10 pictures: Dress (4)")).to_be_visible()
    unfold(page, "1 files of the last import could not be used")
    page.wait_for_url("**collection=my-shop**")
    assert not home.collection("my-shop").job_folder.exists()

    page.locator(".wall a").first.click()
    page.wait_for_url("**collection=my-shop**")
    expect(page.locator(".st-key-results img").first).to_be_visible(timeout=WAIT)
    with home.collection("my-shop").catalogue() as catalogue:
        assert catalogue.label_counts() == LABELS
        assert [(name, "not a picture" in reason) for name, reason in ImportLog(catalogue).reports()[0].skipped] == [
            ("Bag/broken.jpg", True)
        ]


def test_a_photo_finds_its_like_in_a_collection_of_one_s_own(
    page: Page, server: Server, home: Workspace, collection: Collection, tmp_path: Path
) -> None:
    boot = int(collection.searcher.index.partitions["Ankle boot"].ids[500])
    Image.fromarray(collection.picture(boot)).resize((300, 400)).convert("RGB").save(tmp_path / "boot.jpg")
    page.goto(f"{server.url}/Search?collection=my-shop")
    page.locator("input[type=file]").set_input_files(tmp_path / "boot.jpg")
    expect(page.get_by_role("heading", name="12 most similar in Ankle boot")).to_be_visible(timeout=WAIT)
    results(page, LABELS["Ankle boot"])


def test_the_sidebar_chooses_the_collection_and_the_pages_follow(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Search?source=Collection&id=3&collection=my-shop")
    expect(page.locator(".st-key-results img").first).to_be_visible(timeout=WAIT)
    page.get_by_role("link", name="Home").click()
    expect(page.get_by_text("26 pictures")).to_be_visible()
    page.get_by_role("combobox", name="Collection").click()
    page.get_by_role("option", name="fashion-mnist").click()
    expect(page.get_by_text("70,000 pictures")).to_be_visible()
    assert "collection=" not in page.url


def test_a_bad_name_or_nothing_to_import_gets_a_sentence(page: Page, server: Server, heap: Path) -> None:
    add(page, server.url, heap, name="No such Name!")
    expect(page.get_by_text("A collection cannot be called “No such Name!”")).to_be_visible()
    page.reload()
    unfold(page, "Add a collection")
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("Choose a ZIP, or name a folder on this computer.")).to_be_visible()


def test_an_import_that_fails_says_why_and_can_be_dismissed(
    page: Page, server: Server, home: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "text.zip").write_bytes(b"this is no archive")
    add(page, server.url, tmp_path / "text.zip")
    expect(page.get_by_text("that can be read")).to_be_visible(timeout=2 * WAIT)
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("that can be read")).to_have_count(0)
    assert not home.collection("text").job_folder.exists()


def test_a_collection_is_renamed_and_removed(page: Page, server: Server, home: Workspace) -> None:
    page.goto(f"{server.url}/?collection=my-shop")
    unfold(page, "Rename or remove “my-shop”")
    page.get_by_label("New name").fill("shop-2026")
    page.get_by_role("button", name="Rename", exact=True).click()
    expect(page.get_by_text("Rename or remove “shop-2026”")).to_be_visible(timeout=WAIT)
    page.wait_for_url("**collection=shop-2026**")
    assert "shop-2026" in manage.names(home)
    assert "my-shop" not in manage.names(home)

    page.get_by_text("Remove “shop-2026” with all its pictures").click()
    page.get_by_label("This cannot be undone").fill("my-shop")
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("Nothing was removed")).to_be_visible()
    page.get_by_label("This cannot be undone").fill("shop-2026")
    page.get_by_role("button", name="Remove", exact=True).click()
    expect(page.get_by_text("70,000 pictures")).to_be_visible(timeout=WAIT)
    assert manage.names(home) == ["fashion-mnist"]
    assert not home.collection("shop-2026").data_folder.exists()


def test_on_a_phone_a_collection_can_be_added_and_nothing_sticks_out(
    phone: Page, server: Server, home: Workspace, heap: Path
) -> None:
    add(phone, server.url, heap, name="pocket")
    expect(phone.get_by_text("pocket is ready")).to_be_visible(timeout=4 * WAIT)
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    phone.get_by_role("button", name="Open it").click()
    expect(phone.get_by_text("Too small to learn")).to_be_visible(timeout=WAIT)
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_an_import_can_be_stopped_and_goes_on(page: Page, server: Server, home: Workspace, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "many.zip", "w") as archive:
        for name, content in photos("Scarf", range(200)).items():  # so many that it lasts until it is stopped
            archive.writestr(name, content)
    add(page, server.url, tmp_path / "many.zip", name="stopped")
    stop_job(page)
    expect(page.get_by_text("stopped was stopped. What is done is kept.")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_text("stopped is ready")).to_be_visible(timeout=4 * WAIT)
    with home.collection("stopped").catalogue() as catalogue:
        assert catalogue.label_counts() == {"Scarf": 200}
