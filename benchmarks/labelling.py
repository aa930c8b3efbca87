"""From a key to the next picture on the Correct labels page, in a real browser, with 70,000 items in the queue.

Needs Chromium. The labels are changed in a copy of the collection.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
from playwright.sync_api import Page, sync_playwright

from fashion16.collections.importing import import_fashion_mnist
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.labels import issues
from tests.server import CHROMIUM_FLAGS, Server, chromium

KEYS = 60
WATCH = """
() => {
    window.waits = [];
    let pressed = 0, shown = "";
    const number = () => (document.body.innerText.match(/Picture (\\d+) ·/) || ["", ""])[1];
    const ready = () => [...document.querySelectorAll(".stMain img")].slice(0, 1).every((one) => one.complete);
    document.addEventListener("keydown", () => { pressed = performance.now(); shown = number(); }, true);
    new MutationObserver(() => {
        if (pressed && number() && number() !== shown && ready()) {
            window.waits.push(performance.now() - pressed);
            pressed = 0;
        }
    }).observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});
}
"""


def main() -> None:
    """Print median and 95th percentile of the waits."""
    workspace = Workspace()
    import_fashion_mnist(workspace.collection())
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        shutil.copytree(workspace.root / "models", home / "models")
        shutil.copytree(workspace.root / "indexes", home / "indexes")
        shutil.copytree(workspace.collection().data_folder, home / "data" / DEFAULT_COLLECTION)
        issues.rank(Workspace(home).collection())
        with Server(home, home / "log", FASHION16_MANAGE="1") as server, sync_playwright() as running:
            browser = running.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_FLAGS))
            page = browser.new_page(viewport={"width": 1400, "height": 1000})
            page.goto(f"{server.url}/Correct_labels")
            page.get_by_text("left in this queue").wait_for(timeout=60_000)
            waits = _waits(page)
            browser.close()
    middle, late = np.percentile(waits, [50, 95])
    print(f"a key to the next picture, {len(waits)} keys: median {middle:.0f} ms, 95th percentile {late:.0f} ms")


def _waits(page: Page) -> list[float]:
    page.wait_for_timeout(3_000)
    page.evaluate(WATCH)
    for number in range(KEYS):
        page.keyboard.press("k3x"[number % 3])
        page.wait_for_function(f"window.waits.length > {number}", timeout=30_000)
        page.wait_for_timeout(500)  # a person looks at it
    return [float(wait) for wait in page.evaluate("window.waits")]


if __name__ == "__main__":
    main()
