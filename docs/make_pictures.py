"""The README's pictures, taken from the real app in Chromium: `make pictures`.

Five screenshots and a tour: a search, then ten labels corrected with the keyboard. The app runs on a workspace of its
own with Fashion-MNIST in it, so nothing of yours is shown or changed. Making that workspace takes two minutes; name a
folder to keep it for the next run: `python -m docs.make_pictures /tmp/pictures`.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.server import CHROMIUM_FLAGS, REPOSITORY, Server, chromium

DOCS = REPOSITORY / "docs"
WIDTH = 1400
WAIT = 60_000  # milliseconds
QUERY = 2  # a T-shirt with a print: the results have prints, too
# page and window height; each height ends where a part of the page ends
STILLS = {
    "home": ("", 932),
    "search": (f"Search?source=Collection&id={QUERY}", 806),
    "labels": ("Correct_labels", 1016),
    "explorer": ("Index_explorer?view=Buckets&category=Shirt&bucket=188", 1166),
    "metrics": ("Metrics?view=Quality", 1245),
}
TOUR_HEIGHT, TOUR_WIDTH = 910, 960  # of the window, and of the moving picture
N_CORRECTIONS = 10
PICTURE = re.compile(r"Picture (\d+) ·")
SUGGESTED = re.compile(r"suggested .* · (\d+)%")

# Streamlit draws a page piece by piece: it is done when no script runs and nothing old, moving or unloaded is left
SETTLED = """() =>
    document.querySelector('[data-test-script-state=notRunning]')
    && !document.querySelector('[data-stale=true], [data-testid=stSkeleton], [data-testid=stSpinner]')
    && [...document.images].every(image => image.complete)
    && document.getAnimations().every(animation => animation.playState !== 'running')
"""
# the key that the tour presses, in the look of the app
SHOW_KEY = """([key, words]) => {
    document.getElementById('key')?.remove()
    if (!words) return
    document.body.insertAdjacentHTML('beforeend', `<div id="key" style="position:fixed;right:80px;top:80px;
        z-index:1000000;display:flex;gap:16px;align-items:center;padding:14px 26px;border-radius:14px;
        background:#241B20;color:#fff;font:600 25px 'Source Sans',sans-serif">
        ${key && `<kbd style="font:inherit;padding:2px 15px;border-radius:8px;background:#fff;
        color:#241B20">${key}</kbd>`}<span>${words}</span></div>`)
}"""


def make_workspace(folder: Path) -> Path:
    """A folder with Fashion-MNIST, ranked by suspicion; made unless it is there."""
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.partial")
    for name in ("models", "indexes"):
        shutil.copytree(REPOSITORY / name, partial / name, dirs_exist_ok=True)
    (partial / "data").mkdir(exist_ok=True)
    if (downloads := REPOSITORY / "data" / "downloads").is_dir() and not (partial / "data" / "downloads").exists():
        (partial / "data" / "downloads").symlink_to(downloads)
    for command in (["import", "fashion-mnist"], ["label-issues", "fashion-mnist"]):
        subprocess.run(
            [Path(sys.executable).with_name("fashion16"), *command],
            check=True,
            env={**os.environ, "FASHION16_HOME": str(partial)},
            stdout=subprocess.DEVNULL,
        )
    return partial.rename(folder)


def settle(page: Page) -> None:
    """Wait until the page is drawn."""
    page.wait_for_function(SETTLED)
    page.wait_for_timeout(500)  # a chart is drawn after its script has ended
    page.wait_for_function(SETTLED)


def take_stills(page: Page, url: str) -> None:
    """The five screenshots."""
    for name, (address, height) in STILLS.items():
        page.set_viewport_size({"width": WIDTH, "height": height})
        page.goto(f"{url}/{address}")
        page.get_by_role("heading", level=1).wait_for()
        settle(page)
        save_small(page.screenshot(), DOCS / f"{name}.png")


def save_small(screenshot: bytes, path: Path) -> None:
    """Save a screenshot with 256 colours: a third of the size, and no difference that shows."""
    colours = Image.open(io.BytesIO(screenshot)).convert("RGB").quantize(256, dither=Image.Dither.NONE)
    colours.save(path, optimize=True)


class Tour:
    """The frames of the moving picture, and how long each is shown."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._frames: list[Image.Image] = []
        self._milliseconds: list[int] = []

    def shoot(self, milliseconds: int, key: str = "", words: str = "") -> None:
        """Add the page as it is, with a key and words in its corner."""
        settle(self._page)
        self._page.evaluate(SHOW_KEY, [key, words])
        frame = Image.open(io.BytesIO(self._page.screenshot())).convert("RGB")
        size = (TOUR_WIDTH, TOUR_WIDTH * TOUR_HEIGHT // WIDTH)
        self._frames.append(frame.resize(size, Image.Resampling.LANCZOS))
        self._milliseconds.append(milliseconds)

    def save(self, path: Path) -> None:
        """Write them as a GIF that repeats, all frames in the colours of one palette."""
        width, height = self._frames[0].size
        sheet = Image.new("RGB", (width, height * len(self._frames)))
        for number, frame in enumerate(self._frames):
            sheet.paste(frame, (0, number * height))
        averages = sheet.quantize(256).getpalette() or []
        # no average is quite as white as the page
        palette = Image.new("P", (1, 1))
        palette.putpalette([255 if value > 248 else value for value in averages])
        frames = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self._frames]
        frames[0].save(
            path, save_all=True, append_images=frames[1:], duration=self._milliseconds, loop=0, optimize=True
        )


def take_tour(page: Page, url: str) -> None:
    """A search, ten labels corrected, and a search that uses them."""
    page.set_viewport_size({"width": WIDTH, "height": TOUR_HEIGHT})
    tour = Tour(page)
    page.goto(f"{url}/Search?source=Collection&id={QUERY}")
    expect(page.get_by_role("button", name="Search with this")).to_have_count(20)
    tour.shoot(3500, words="A picture, its category, the most similar garments")
    page.goto(f"{url}/Correct_labels")
    expect(page.get_by_text(PICTURE)).to_be_visible()
    tour.shoot(3000, words="The labels most likely wrong come first")
    first = current(page)
    accept = page.get_by_role("button", name=re.compile("^Accept"))
    for _ in range(N_CORRECTIONS):
        while accept.is_disabled() or in_doubt(page):
            press(page, "Space")
        tour.shoot(900, "A", "accept the suggestion")
        press(page, "a")
    tour.shoot(2000, words=f"{N_CORRECTIONS} labels corrected")
    page.goto(f"{url}/Search?source=Collection&id={first}")
    expect(page.get_by_role("button", name="Search with this")).to_have_count(20)
    tour.shoot(3500, words="The next search uses the new labels")
    tour.save(DOCS / "tour.gif")


def current(page: Page) -> str:
    """The number of the picture to decide about."""
    found = PICTURE.search(page.get_by_text(PICTURE).first.inner_text())
    assert found
    return found[1]


def in_doubt(page: Page) -> bool:
    """Whether the suggested label is less likely than not, as for some near-duplicates with different labels."""
    found = SUGGESTED.search(page.get_by_text(SUGGESTED).first.inner_text())
    return not found or int(found[1]) < 50


def press(page: Page, key: str) -> None:
    """Press a key and wait for another picture."""
    before = current(page)
    page.keyboard.press(key)
    expect(page.get_by_text(re.compile(rf"Picture {before} ·"))).to_have_count(0)


def main() -> None:
    for name in [name for name in os.environ if name.startswith("FASHION16_")]:
        del os.environ[name]  # a database of your own, above all
    with tempfile.TemporaryDirectory() as scratch:
        kept = make_workspace(Path(sys.argv[1] if len(sys.argv) > 1 else Path(scratch) / "kept"))
        home = Path(shutil.copytree(kept, Path(scratch) / "home", symlinks=True))
        server = Server(home, Path(scratch) / "log", FASHION16_MANAGE="local", LOGNAME="ann")
        with server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_FLAGS))
            page = browser.new_page(viewport={"width": WIDTH, "height": 900})
            page.set_default_timeout(WAIT)
            expect.set_options(timeout=WAIT)
            take_stills(page, server.url)
            take_tour(page, server.url)
            browser.close()


if __name__ == "__main__":
    main()
