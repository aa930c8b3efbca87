"""A real browser for tests, whose console, errors and requests are watched."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Playwright,
    Request,
    expect,
    sync_playwright,
)

from tests.server import CHROMIUM_FLAGS, chromium

DESKTOP, PHONE = {"width": 1400, "height": 1000}, {"width": 390, "height": 844}
WAIT = 30_000  # milliseconds; a shared machine may be slow
expect.set_options(timeout=WAIT)
# Streamlit's own look for the server below the page's address when a link leads straight to a page
DEEP_LINK_PROBES = tuple(f"/{page}/_stcore/" for page in ("Search", "Correct_labels", "Index_explorer", "Metrics"))
# the state of the script and the places of all elements, the same for five looks
SETTLED = """() => {
    const app = document.querySelector("[data-testid=stApp]"), seen = window.seen ??= {places: "", looks: 0}
    if (app?.dataset.testScriptState !== "notRunning") return void (seen.looks = 0)
    const boxes = [...app.querySelectorAll("[data-testid]")].map(one => one.getBoundingClientRect())
    const places = boxes.map(({x, y, width, height}) => [x, y, width, height].map(Math.round)).join(" ")
    seen.looks = places === seen.places ? seen.looks + 1 : 0
    seen.places = places
    return seen.looks >= 5
}"""
BAD_WORDS = ("Traceback", "Error", "WARNING", "Warning", "deprecated")


@pytest.fixture(scope="module")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="module")
def browser(playwright: Playwright) -> Iterator[Browser]:
    running = playwright.chromium.launch(executable_path=chromium(), args=list(CHROMIUM_FLAGS))
    yield running
    running.close()


@pytest.fixture(scope="module")
def context(browser: Browser) -> Callable[..., BrowserContext]:
    """A browser's profile on a desktop or a phone, in the light or the dark."""

    @cache
    def opened(on_phone: bool = False, scheme: str = "light") -> BrowserContext:
        return browser.new_context(viewport=PHONE if on_phone else DESKTOP, has_touch=on_phone, color_scheme=scheme)

    return opened


@pytest.fixture(scope="module")
def tab(context: Callable[..., BrowserContext]) -> Callable[..., Page]:
    """The profile's one tab for all tests of a file: it loads the app's scripts again in half the time."""
    return cache(lambda on_phone=False, scheme="light": context(on_phone, scheme).new_page())


@pytest.fixture
def page(tab: Callable[..., Page]) -> Iterator[Page]:
    yield from watched(tab())


@pytest.fixture
def phone(tab: Callable[..., Page]) -> Iterator[Page]:
    yield from watched(tab(on_phone=True))


@pytest.fixture
def dark(tab: Callable[..., Page]) -> Iterator[Page]:
    yield from watched(tab(scheme="dark"))


@pytest.fixture
def dark_phone(tab: Callable[..., Page]) -> Iterator[Page]:
    yield from watched(tab(on_phone=True, scheme="dark"))


def settled(page: Page) -> None:
    """Wait until the script has run and nothing on the page has come, gone or moved for a quarter of a second.

    A page that is being drawn loses clicks and keys.
    """
    page.wait_for_function(SETTLED, polling=50)  # milliseconds


def results(page: Page, n: int = 20) -> None:
    """Wait for n results of a search."""
    expect(page.get_by_role("button", name="Search with this")).to_have_count(n)
    settled(page)


def unfold(page: Page, title: str) -> None:
    """Click an expander's title and wait until it is open.

    It opens for half a second, whatever motion the browser asks for, and what moves under a click loses it.
    """
    page.get_by_text(title).click()
    expander = page.locator("details[open]", has_text=title).element_handle()
    page.wait_for_function("one => one.getAnimations({subtree: true}).length === 0", arg=expander)


def stop_job(page: Page) -> None:
    """Click the button of a job's card; Streamlit has a Stop of its own while a page is being drawn."""
    page.locator("[class*=st-key-stop_]").get_by_role("button", name="Stop").click()


def darkest_part(text: Locator) -> int:
    """The smallest of red, green and blue of a text on a chart.

    A chart that is being redrawn throws its texts away, and one that was thrown away has no colour.
    """
    expect(text).to_have_css("fill", re.compile(r"\d"))
    fill = ""
    while not fill:
        fill = str(text.evaluate("one => getComputedStyle(one).fill"))
    return min(int(part) for part in re.findall(r"\d+", fill)[:3])


def complaints_of(log: Path) -> list[str]:
    """The lines of a server's log that nobody should have to see."""
    return [line for line in log.read_text().splitlines() if any(word in line for word in BAD_WORDS)]


def watched(page: Page) -> Iterator[Page]:
    """A page whose console, errors and requests must be clean at the end."""
    page.set_default_timeout(WAIT)
    complaints: list[str] = []

    def on_console(message: ConsoleMessage) -> None:
        url = message.location.get("url", "")
        # a browser without a graphics card says how slowly it draws a map of many points
        ours = "GL Driver Message" not in message.text and not any(probe in url for probe in DEEP_LINK_PROBES)
        if message.type in ("error", "warning") and ours:
            complaints.append(f"{message.text} {url}")

    def on_failure(request: Request) -> None:
        # a rerun drops pictures that are no longer shown
        if request.failure != "net::ERR_ABORTED":
            complaints.append(f"{request.url}: {request.failure}")

    def on_error(error: Error) -> None:
        complaints.append(str(error))

    listeners = {"console": on_console, "pageerror": on_error, "requestfailed": on_failure}
    for event, listener in listeners.items():
        page.on(event, listener)  # type: ignore[call-overload]
    yield page
    page.goto("about:blank")
    for event, listener in listeners.items():
        page.remove_listener(event, listener)
    assert complaints == []
