"""Quality, the paper and the map in a real browser: a click leads to exactly the pictures that it means."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from playwright.sync_api import Page, expect

from fashion16.collections.workspace import Workspace
from fashion16.labels import issues
from fashion16.labels.selections import Selection, Selections
from tests.browsing import PHONE, WAIT, darkest_part
from tests.evaluations import NAME, evaluate
from tests.server import Server

PLOT = ".js-plotly-plot"
# where a point of a plot lies on the screen, by its places on the axes
PLACE = """([selector, x, y]) => {
    const plot = document.querySelector(selector)
    plot.scrollIntoView({block: "center"})
    const box = plot.getBoundingClientRect(), layout = plot._fullLayout
    return [box.x + layout.xaxis._offset + layout.xaxis.d2p(x), box.y + layout.yaxis._offset + layout.yaxis.d2p(y)]
}"""
OVERFLOW = """() => { const main = document.querySelector("[data-testid=stMain]")
    return main.scrollWidth - main.clientWidth }"""


@pytest.fixture(scope="module")
def measured(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, pd.DataFrame]:
    """Four hundred pictures of Fashion-MNIST, ranked by suspicion and evaluated; and what they were predicted to be."""
    root = shutil.copytree(small_template, tmp_path_factory.mktemp("quality") / "home", symlinks=True)
    made = Workspace(root)
    issues.rank(made.collection(NAME))
    return made, evaluate(made)


@pytest.fixture(scope="module")
def home(measured: tuple[Workspace, pd.DataFrame]) -> Workspace:
    return measured[0]


@pytest.fixture(scope="module")
def predicted(measured: tuple[Workspace, pd.DataFrame]) -> pd.DataFrame:
    return measured[1]


def open_view(page: Page, server: Server, view: str, n_plots: int, query: str = "") -> None:
    """Open a view and wait for its charts."""
    page.goto(f"{server.url}/Metrics?view={view}{query}")
    expect(page.locator(f"{PLOT} .main-svg").first).to_be_visible(timeout=WAIT)
    expect(page.locator(PLOT)).to_have_count(n_plots)


def listening(page: Page, selector: str) -> None:
    """Wait until a click on the plot is heard, which is some time after it is drawn."""
    page.wait_for_function(
        "selector => document.querySelector(selector)?._ev?._events?.plotly_selected", arg=selector, timeout=WAIT
    )


def click(page: Page, selector: str, x: float, y: float) -> None:
    listening(page, selector)
    left, top = page.evaluate(PLACE, [selector, x, y])
    page.mouse.move(left - 2, top - 2)
    page.mouse.move(left, top)
    expect(page.locator(f"{selector} .hoverlayer .hovertext")).to_have_count(1)
    page.mouse.click(left, top)


def arrived(page: Page, home: Workspace) -> Selection:
    """What Correct labels shows, once it is there."""
    page.wait_for_url(re.compile("/Correct_labels.*selection="))
    expect(page.get_by_text(re.compile(r"\d picked"))).to_be_visible(timeout=WAIT)
    (name,) = parse_qs(urlsplit(page.url).query)["selection"]
    return Selections(home.collection(NAME).selections_folder).of(name)


def draw_round(page: Page, corners: list[tuple[float, float]]) -> None:
    """Draw a lasso on the map round these points, which are places on its axes; it closes by itself."""
    listening(page, PLOT)
    places = [page.evaluate(PLACE, [PLOT, x, y]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for left, top in places[1:]:
        page.mouse.move(left, top, steps=8)
    page.mouse.up()


def test_a_cell_of_the_confusion_matrix_opens_exactly_its_pictures(
    page: Page, server: Server, home: Workspace, predicted: pd.DataFrame
) -> None:
    open_view(page, server, "Quality", 8)
    names = sorted(predicted["label"].unique())
    click(page, f".st-key-confusion_Counts {PLOT}", names.index("Shirt"), names.index("Bag"))
    found = arrived(page, home)
    assert found.title == "Bag, predicted Shirt"
    both = (predicted["label"] == "Bag") & (predicted["predicted"] == "Shirt")
    assert set(found.ids.tolist()) == set(predicted["id"][both].tolist())
    expect(page.get_by_text("Bag, predicted Shirt")).to_be_visible()
    boxes = page.get_by_role("checkbox")
    expect(boxes).to_have_count(int(both.sum()))
    classes = page.locator("[class*=st-key-tick_]").evaluate_all("boxes => boxes.map(box => box.className)")
    shown = {int(found[1]) for name in classes if (found := re.search(r"st-key-tick_\w*?(\d+)(?:\s|$)", name))}
    assert shown == set(predicted["id"][both].tolist())


def test_a_point_of_a_category_opens_its_mistakes(
    page: Page, server: Server, home: Workspace, predicted: pd.DataFrame
) -> None:
    open_view(page, server, "Quality", 8)
    selector = f".st-key-category_dots {PLOT}"
    trace = page.evaluate(
        """selector => { const {x, y, customdata} = document.querySelector(selector)._fullData[1]
            return customdata.map(([name, measure], row) => [name, measure, x[row], y[row]]) }""",
        selector,
    )
    ((_, measure, x, y),) = (row for row in trace if row[0] == "Shirt")
    assert measure == "recall"
    click(page, selector, x, y)
    found = arrived(page, home)
    assert found.title == "Shirt, predicted otherwise"
    missed = (predicted["label"] == "Shirt") & (predicted["predicted"] != "Shirt")
    assert set(found.ids.tolist()) == set(predicted["id"][missed].tolist())


def test_what_is_circled_on_the_map_is_sent_to_correct_labels(page: Page, server: Server, home: Workspace) -> None:
    open_view(page, server, "Map", 1)
    points = page.evaluate(
        f"""() => document.querySelector("{PLOT}")._fullData.flatMap(({{x, y, customdata}}) =>
            customdata.map(([id], row) => [id, x[row], y[row]]))"""
    )
    assert len(points) == 400
    right = sorted(x for _, x, _ in points)[300]  # a quarter of the pictures lies to the right
    # the lasso's line lies between two points
    edge = (right + min(x for _, x, _ in points if x > right)) / 2
    inside = {item for item, x, _ in points if x > edge}
    most, low, high = page.evaluate(
        f"""() => {{ const {{xaxis, yaxis}} = document.querySelector("{PLOT}")._fullLayout
            const inset = 0.01 * (yaxis.range[1] - yaxis.range[0])
            return [xaxis.range[1], yaxis.range[0] + inset, yaxis.range[1] - inset] }}"""
    )
    draw_round(page, [(edge, low), (most, low), (most, high), (edge, high)])
    button = page.get_by_role("button", name=re.compile(r"Open \d+ pictures in Correct labels"))
    expect(button).to_be_visible(timeout=WAIT)
    n = int(re.search(r"\d+", button.inner_text())[0])  # type: ignore[index]
    # a screen's pixel is wider than the gap between two points
    assert abs(n - len(inside)) <= 5
    button.click()
    found = arrived(page, home)
    assert found.title == "Circled on the map (PCA)"
    assert len(found.ids) == n
    assert len(set(found.ids.tolist()) ^ inside) <= 5


def test_a_click_on_the_map_shows_the_picture(page: Page, server: Server, home: Workspace) -> None:
    open_view(page, server, "Map", 1, "&colour=Suspicion")
    # the most suspicious one lies on top
    item, x, y = page.evaluate(
        f"""() => {{ const {{x, y, customdata}} = document.querySelector("{PLOT}")._fullData.at(-1), row = x.length - 1
            return [customdata[row][0], x[row], y[row]] }}"""
    )
    with home.collection(NAME).catalogue() as catalogue:
        label = catalogue.item(item).label
    page.get_by_role("button", name="Pan").click()
    page.wait_for_function(f"""document.querySelector("{PLOT}")._fullLayout.clickmode === "event+select" """)
    click(page, PLOT, x, y)
    expect(page.get_by_text(f"Picture {item}", exact=True)).to_be_visible(timeout=WAIT)
    expect(page.get_by_alt_text(f"{label}, picture {item}")).to_be_visible(timeout=WAIT)
    assert "colour=Suspicion" in page.url


@pytest.mark.parametrize(("view", "n_plots"), [("Quality", 8), ("The+paper", 4), ("Map", 1)])
def test_every_view_fits_a_phone_in_the_dark(dark_phone: Page, server: Server, view: str, n_plots: int) -> None:
    open_view(dark_phone, server, view, n_plots)
    assert dark_phone.evaluate(OVERFLOW) == 0
    widths = dark_phone.locator(PLOT).evaluate_all("plots => plots.map(plot => plot.getBoundingClientRect().width)")
    assert max(widths) <= PHONE["width"]


def test_text_on_the_charts_is_light_in_the_dark(dark: Page, server: Server) -> None:
    open_view(dark, server, "Quality", 8)
    chart = dark.locator(f".st-key-confusion_Counts {PLOT}")
    # names stand on the page's dark ground, numbers on cells that are light on both themes
    for text, is_light in (
        (chart.locator(".xtick text").first, True),
        (chart.locator(".scatterlayer text").first, False),
    ):
        assert (darkest_part(text) > 150) == is_light
