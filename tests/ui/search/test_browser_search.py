"""The app in a real browser: what a person does with it, and that console and log stay clean."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, Playwright, expect

from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from tests.browsing import DESKTOP, PHONE, WAIT, complaints_of, results, watched
from tests.server import CHROMIUM_FLAGS, Server, chromium


@pytest.fixture(scope="module")
def home(workspace: Workspace) -> Workspace:
    return workspace


@pytest.fixture(scope="module")
def server_options() -> dict[str, Any]:
    return {}


def _photo(collection: Collection, item_id: int, path: Path, side: int = 400) -> Path:
    picture = Image.fromarray(collection.picture(item_id)).resize((side, side), Image.Resampling.BICUBIC)
    picture.convert("RGB").save(path, quality=92)
    return path


def _predicted(collection: Collection, item_id: int) -> str:
    return collection.classify(collection.picture(item_id)).category


def test_the_first_run_sets_everything_up_by_itself(
    page: Page, workspace: Workspace, tmp_path: Path, fashion_mnist_folder: Path
) -> None:
    home = tmp_path / "fresh clone"
    (home / "data").mkdir(parents=True)
    for name in ("models", "indexes", "data/downloads"):
        (home / name).symlink_to(workspace.root / name)
    log = tmp_path / "log"
    with Server(home, log) as server:
        page.goto(server.url)
        expect(page.get_by_text("Setting up")).to_be_visible()
        expect(page.get_by_text("Pick a picture to begin")).to_be_visible()
        expect(page.get_by_text("Setting up")).to_have_count(0)
        page.locator(".wall a").first.click()
        results(page)
        page.goto("about:blank")
    assert complaints_of(log) == []


def test_an_uploaded_picture_shows_twentyresults(
    page: Page, server: Server, collection: Collection, tmp_path: Path
) -> None:
    page.goto(server.url)
    page.get_by_role("button", name="Search with a photo").click()
    page.locator("input[type=file]").set_input_files(_photo(collection, 10, tmp_path / "photo.jpg"))
    results(page)
    expect(page.get_by_role("heading", name=f"20 most similar in {_predicted(collection, 10)}")).to_be_visible()
    # every picture has really been drawn
    expect(page.locator(".st-key-results img")).to_have_count(20)
    page.wait_for_function("[...document.querySelectorAll('.st-key-results img')].every(i => i.naturalWidth == 200)")


def test_the_camera_finds_the_garment_it_is_shown(
    playwright: Playwright, server: Server, collection: Collection, tmp_path: Path
) -> None:
    boot = int(collection.searcher.index.partitions["Ankle boot"].ids[0])
    video = _video(collection.picture(boot), tmp_path / "camera.y4m")
    camera = f"--use-file-for-fake-video-capture={video}"
    running = playwright.chromium.launch(executable_path=chromium(), args=[*CHROMIUM_FLAGS, camera])
    watching = watched(running.new_page(viewport=DESKTOP))
    page = next(watching)
    page.goto(f"{server.url}/Search")
    page.get_by_role("radio", name="Camera").click()
    page.wait_for_function("document.querySelector('video')?.videoWidth > 0 && !document.querySelector('video').paused")
    page.get_by_role("button", name="Take photo").click()
    results(page)
    expect(page.get_by_role("heading", name="20 most similar in Ankle boot")).to_be_visible()
    with pytest.raises(StopIteration):
        next(watching)
    running.close()


def test_an_override_searches_in_other_categories(page: Page, server: Server, collection: Collection) -> None:
    page.goto(f"{server.url}/Search?source=Collection&id=10")
    results(page)
    page.get_by_role("radio", name="Second guess").click()
    second = list(collection.classify(collection.picture(10)).probabilities)[1]
    expect(page.get_by_role("heading", name=f"20 most similar in {second}")).to_be_visible()
    page.get_by_role("radio", name="All categories").click()
    expect(page.get_by_role("heading", name="20 most similar in all categories")).to_be_visible()
    page.get_by_role("radio", name="Choose").click()
    page.get_by_role("button", name="Sandal", exact=True).click()
    expect(page.get_by_role("heading", name="20 most similar in Sandal")).to_be_visible()


def test_search_with_this_goes_on_from_a_result_and_the_address_says_so(
    page: Page, server: Server, collection: Collection, tmp_path: Path
) -> None:
    page.goto(f"{server.url}/Search")
    page.locator("input[type=file]").set_input_files(_photo(collection, 10, tmp_path / "photo.jpg"))
    results(page)
    page.get_by_role("button", name="Search with this").nth(4).click()
    page.wait_for_url("**id=*")
    number = page.url.split("id=")[1].split("&")[0]
    expect(page.get_by_label("Picture number")).to_have_value(number)
    results(page)
    # the link opens the same search for somebody else
    first = page.locator(".st-key-results img").first.get_attribute("alt")
    page.goto(page.url)
    results(page)
    expect(page.locator(".st-key-results img").first).to_have_attribute("alt", str(first))


def test_a_picture_on_the_wall_is_a_door_to_its_search(page: Page, server: Server) -> None:
    page.goto(server.url)
    link = page.locator(".wall a").first
    number = str(link.get_attribute("href")).split("id=")[1]
    link.click()
    results(page)
    expect(page.get_by_label("Picture number")).to_have_value(number)


def test_a_box_on_the_photo_searches_with_that_part(
    page: Page, server: Server, collection: Collection, tmp_path: Path
) -> None:
    # a shoe on the left, trousers on the right: which one is meant, only the person knows
    boot = int(collection.searcher.index.partitions["Ankle boot"].ids[0])
    trousers = int(collection.searcher.index.partitions["Trouser"].ids[0])
    halves = [
        Image.fromarray(collection.picture(i)).resize((400, 400), Image.Resampling.BICUBIC) for i in (boot, trousers)
    ]
    both = Image.new("L", (800, 400))
    both.paste(halves[0], (0, 0))
    both.paste(halves[1], (400, 0))
    both.save(tmp_path / "both.png")
    page.goto(f"{server.url}/Search")
    page.locator("input[type=file]").set_input_files(tmp_path / "both.png")
    results(page)
    for left, right, category in ((0.51, 0.99, "Trouser"), (0.01, 0.49, "Ankle boot")):
        box = page.locator(".js-plotly-plot .nsewdrag").first.bounding_box()
        assert box is not None
        page.mouse.move(box["x"] + left * box["width"], box["y"] + 2)
        page.mouse.down()
        page.mouse.move(box["x"] + right * box["width"], box["y"] + box["height"] - 2, steps=8)
        page.mouse.up()
        expect(page.get_by_role("heading", name=f"20 most similar in {category}")).to_be_visible(timeout=WAIT)
        page.get_by_role("button", name="Whole photo").click()
        expect(page.get_by_role("button", name="Whole photo")).to_have_count(0)


def test_a_broken_file_gets_a_sentence_and_the_next_one_works(
    page: Page, server: Server, collection: Collection, tmp_path: Path
) -> None:
    good = _photo(collection, 10, tmp_path / "good.jpg")
    (tmp_path / "broken.jpg").write_bytes(good.read_bytes()[:500])
    page.goto(f"{server.url}/Search")
    page.locator("input[type=file]").set_input_files(tmp_path / "broken.jpg")
    expect(page.get_by_text("damaged or cut off")).to_be_visible()
    page.locator("input[type=file]").set_input_files(good)
    results(page)
    expect(page.get_by_text("damaged or cut off")).to_have_count(0)


def test_the_results_can_be_taken_away_as_csv(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Search?source=Collection&id=10")
    results(page)
    with page.expect_download() as download:
        page.get_by_role("button", name="Results as CSV").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert len(lines) == 21


def test_a_phone_shows_two_results_side_by_side_and_nothing_sticks_out(phone: Page, server: Server) -> None:
    phone.goto(f"{server.url}/Search?source=Collection&id=10")
    results(phone)
    cells = [phone.locator(f".st-key-result_{rank}").bounding_box() for rank in (1, 2, 3)]
    assert all(cells)
    first, second, third = (cell for cell in cells if cell)
    assert first["y"] == second["y"] < third["y"]
    assert second["x"] + second["width"] <= PHONE["width"]
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def _video(picture: np.ndarray, path: Path) -> Path:  # type: ignore[type-arg]
    """The picture as ten frames of uncompressed video, for Chromium's fake camera."""
    width, height = 640, 480
    frame = Image.new("RGB", (width, height))
    frame.paste(Image.fromarray(picture).resize((480, 480), Image.Resampling.BICUBIC).convert("RGB"), (80, 0))
    y, blue, red = frame.convert("YCbCr").split()
    halves = [plane.resize((width // 2, height // 2)) for plane in (blue, red)]
    data = io.BytesIO()
    data.write(f"YUV4MPEG2 W{width} H{height} F10:1 Ip A1:1 C420jpeg\n".encode())
    for _ in range(10):
        data.write(b"FRAME\n" + b"".join(plane.tobytes() for plane in (y, *halves)))
    path.write_bytes(data.getvalue())
    return path
