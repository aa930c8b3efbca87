"""The Index explorer in a real browser: clicks on charts, links, sliders, a phone and the dark theme."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from fashion16.collections import indexing
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.explore import buckets
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import read_index, settings_in
from fashion16.search.partition import Tuning
from tests.browsing import PHONE, WAIT, darkest_part, settled
from tests.server import Server
from ui.explorer import bucket_charts

NAME = DEFAULT_COLLECTION
BAG = "view=Buckets&category=Bag"
VIEWS = ("", BAG, "view=What+if&category=Bag", "view=Follow+a+query", "view=Health")


@pytest.fixture(scope="module")
def home(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Four hundred pictures of Fashion-MNIST, the bags in sixteen buckets."""
    made = Workspace(shutil.copytree(small_template, tmp_path_factory.mktemp("explorer") / "home", symlinks=True))
    opened = made.open()
    indexing.retune(opened, tunings={"Bag": Tuning(key_bits=4)})
    opened.close()
    return made


def begin(page: Page, server: Server, query: str = "") -> None:
    page.goto(f"{server.url}/Index_explorer?{query}")
    expect(page.get_by_role("heading", name="Index explorer")).to_be_visible(timeout=WAIT)
    settled(page)


def index_of(home: Workspace) -> CategoryIndex:
    return read_index(home.collection(NAME).index_file)[0]


def click(page: Page, key: str, across: float, down: float) -> None:
    """A click into a chart, at these shares of its plotting area."""
    area = page.locator(f".st-key-{key} .nsewdrag").first
    area.scroll_into_view_if_needed()
    box = area.bounding_box()
    assert box
    page.mouse.move(box["x"] + across * box["width"], box["y"] + down * box["height"])
    expect(page.locator(f".st-key-{key} .hoverlayer .hovertext")).not_to_have_count(0)
    page.mouse.click(box["x"] + across * box["width"], box["y"] + down * box["height"])


def pictures(page: Page) -> list[int]:
    """The numbers of the pictures that are shown of the chosen bucket."""
    links = page.locator("[data-few=bucket] a")
    return [int(re.findall(r"[?&]id=(\d+)", str(link.get_attribute("href")))[0]) for link in links.all()]


def test_a_click_on_the_map_shows_the_buckets_pictures_and_its_link_opens_the_same(
    page: Page, server: Server, home: Workspace
) -> None:
    partition = index_of(home).partitions["Bag"]
    cells, sizes = buckets.gray_map(partition.key_bits), buckets.sizes_of(partition)
    second = int(np.argsort(-sizes, kind="stable")[1])
    (row,), (column,) = np.nonzero(cells == second)
    begin(page, server, BAG)
    click(page, "bucket_map", (column + 0.5) / cells.shape[1], (row + 0.5) / cells.shape[0])
    expect(page.get_by_text(re.compile(rf"Bucket {second} · key"))).to_be_visible(timeout=WAIT)
    expect(page).to_have_url(re.compile(rf"[?&]bucket={second}(&|$)"))
    settled(page)
    expected = buckets.bucket_items(partition, second).tolist()[:15]
    assert pictures(page) == expected

    page.goto(page.url)
    expect(page.get_by_text(re.compile(rf"Bucket {second} · key"))).to_be_visible(timeout=WAIT)
    settled(page)
    assert pictures(page) == expected


def test_a_point_of_the_curve_opens_the_bucket_of_its_rank(page: Page, server: Server, home: Workspace) -> None:
    sizes = buckets.sizes_of(index_of(home).partitions["Bag"])
    last = int(np.argsort(-sizes, kind="stable")[np.count_nonzero(sizes) - 1])
    begin(page, server, BAG)
    click(page, "rank_curve", 0.97, 0.9)
    expect(page).to_have_url(re.compile(rf"[?&]bucket={last}(&|$)"))


def test_a_bar_of_the_histogram_lists_its_buckets(page: Page, server: Server, home: Workspace) -> None:
    sizes = buckets.sizes_of(index_of(home).partitions["Bag"])
    table = buckets.histogram(sizes)
    bar = int(np.flatnonzero(table["buckets"])[-1])
    low, high = int(table["low"][bar]), int(table["high"][bar])
    begin(page, server, BAG)
    click(page, "size_histogram", (bar + 0.5) / len(table), 0.3)
    span = f"{low:,}" if low == high else f"{low:,} to {high:,}"
    expect(page.get_by_text(f"{table['buckets'][bar]} buckets of {span} pictures")).to_be_visible(timeout=WAIT)
    expect(page).to_have_url(re.compile(rf"[?&]bucket={int(np.argmax(sizes))}(&|$)"))
    expect(page).to_have_url(re.compile(rf"[?&]sizes={low}-{high}(&|$)"))


def test_a_bar_of_the_overview_opens_the_category(page: Page, server: Server, home: Workspace) -> None:
    begin(page, server)
    shown = bucket_charts.shown_bars(buckets.overview(index_of(home)), "expected_candidates")
    second = shown["category"].tolist()[1]
    click(page, "overview_bars", 0.1, 1.5 / len(shown))
    expect(page.get_by_text(re.compile(r"^Map of all"))).to_be_visible(timeout=WAIT)
    settled(page)
    expect(page).to_have_url(re.compile(r"[?&]view=Buckets"))
    assert f"category={second.replace(' ', '+').replace('/', '%2F')}" in page.url


def test_what_if_follows_its_sliders(page: Page, server: Server) -> None:
    begin(page, server, "view=What+if&category=Bag")
    card = page.get_by_test_id("stMetric").filter(has=page.get_by_text("Buckets", exact=True))
    expect(card.get_by_test_id("stMetricValue")).to_have_text("16")
    slider = page.get_by_role("slider").first
    slider.focus()
    for n_buckets in (32, 64, 128):
        slider.press("ArrowRight")
        expect(card.get_by_test_id("stMetricValue")).to_have_text(str(n_buckets))
        settled(page)
    expect(card.get_by_test_id("stMetricDelta")).to_contain_text("+112 from 16")
    expect(page).to_have_url(re.compile(r"[?&]key_bits=7(&|$)"))


def test_use_this_rebuilds_the_index_file(page: Page, server: Server, home: Workspace) -> None:
    before = settings_in(home.collection(NAME).index_file)
    begin(page, server, "view=What+if&category=Coat&key_bits=5&n_probes=2")
    expect(page.get_by_text("Coat gets 32 buckets")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Use this").click()
    expect(page.get_by_text("The index is rebuilt")).to_be_visible(timeout=WAIT)
    assert settings_in(home.collection(NAME).index_file) == before.changed(tunings={"Coat": Tuning(5, 2)})
    assert index_of(home).partitions["Coat"].key_bits == 5
    page.get_by_role("button", name="Back to automatic").click()
    expect(page.get_by_role("button", name="Back to automatic")).to_be_disabled(timeout=WAIT)
    assert settings_in(home.collection(NAME).index_file) == before


def test_a_bucket_is_sent_to_correct_labels(page: Page, server: Server, home: Workspace) -> None:
    sizes = buckets.sizes_of(index_of(home).partitions["Bag"])
    fullest = int(np.argmax(sizes))
    begin(page, server, f"{BAG}&bucket={fullest}")
    page.get_by_role("button", name=re.compile("in Correct labels")).click()
    expect(page.get_by_role("heading", name="Correct labels")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text(f"Bucket {fullest} of Bag")).to_be_visible(timeout=WAIT)
    expect(page.get_by_test_id("stMain").get_by_role("checkbox")).to_have_count(min(int(sizes.max()), 24))


@pytest.mark.parametrize("which", ["phone", "dark_phone"])
def test_no_view_is_wider_than_a_phone(which: str, server: Server, request: pytest.FixtureRequest) -> None:
    page: Page = request.getfixturevalue(which)
    for query in VIEWS:
        begin(page, server, query)
        if query in VIEWS[:3]:
            expect(page.locator(".stPlotlyChart .main-svg").first).to_be_visible(timeout=WAIT)
        widths = page.evaluate(
            "[document.documentElement.scrollWidth, document.querySelector('[data-testid=stMain]').scrollWidth]"
        )
        assert max(widths) <= PHONE["width"], query


def test_the_dark_theme_has_no_complaints_and_no_dark_words(dark: Page, server: Server) -> None:
    for query in VIEWS[:3]:
        begin(dark, server, query)
        text = dark.locator(".stPlotlyChart .xtick text, .stPlotlyChart .cbaxis text").first
        expect(text).to_be_visible(timeout=WAIT)
        assert darkest_part(text) > 120, query
