"""A query followed and an index's health in a real browser: charts that answer clicks, and what they lead to."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from fashion16.collections import indexing
from fashion16.collections.embeddings import stored_embeddings
from fashion16.collections.indexing import build_index
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.search.encoder import EncoderCard
from fashion16.search.index_file import settings_in
from fashion16.search.partition import Tuning
from tests.browsing import PHONE, WAIT
from tests.server import Server

NAME = DEFAULT_COLLECTION
KEY_BITS = 3


@pytest.fixture(scope="module")
def planted(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, set[int], int]:
    """Four hundred pictures in eight buckets a category, two bags that are one picture, and a boot among trousers."""
    home = Workspace(shutil.copytree(small_template, tmp_path_factory.mktemp("follow") / "home", symlinks=True))
    with home.collection(NAME).catalogue() as catalogue:
        today = catalogue.active()
    bags = today.ids[today.labels == "Bag"][[0, 5]]
    digest = EncoderCard.read(home.encoder_folder / "encoder.json").digest
    ids, embeddings, side = stored_embeddings(home.collection(NAME), digest)
    changed = embeddings.copy()
    changed[ids == bags[1]] = changed[ids == bags[0]]
    np.save(home.collection(NAME).embeddings_file(digest, side), changed)
    build_index(home.collection(NAME))
    opened = home.open()
    tunings = {name: Tuning(key_bits=KEY_BITS) for name in opened.searcher.index.categories}
    indexing.retune(opened, tunings=tunings)
    boot = int(opened.searcher.index.partitions["Ankle boot"].ids[3])
    opened.correct(boot, "Trouser", "ann", opened.catalogue.item(boot).version)
    opened.close()
    return home, {int(bag) for bag in bags}, boot


@pytest.fixture(scope="module")
def home(planted: tuple[Workspace, set[int], int]) -> Workspace:
    return planted[0]


def begin(page: Page, server: Server, query: str) -> None:
    page.goto(f"{server.url}/Index_explorer?{query}")


def chart(page: Page, key: str) -> Locator:
    return page.locator(f".st-key-{key}")


def fits(page: Page) -> bool:
    inside = "document.querySelector('[data-testid=stMain]').scrollWidth"
    return int(page.evaluate(f"Math.max(document.documentElement.scrollWidth, {inside})")) <= PHONE["width"]


def test_a_link_follows_a_picture_from_its_code_to_the_bucket_of_a_neighbour(page: Page, server: Server) -> None:
    begin(page, server, "view=Follow+a+query&query=1")
    expect(page.get_by_text("Its code of 512 bits")).to_be_visible(timeout=WAIT)
    expect(chart(page, "bit_strip").locator(".heatmaplayer image")).to_have_count(1)
    own = page.get_by_text(re.compile(r"^Its bucket: [01]{3}$"))
    expect(own).to_be_visible(timeout=WAIT)
    true = page.locator(".true a")
    expect(true).to_have_count(20)
    title = true.first.get_attribute("title") or ""
    found = re.search(r"bucket ([01]{3}), found by probe (\d)", title)
    assert found
    # the bar of the probe that finds it, clicked, shows the bucket and leads to it
    bar = chart(page, "probe_gains").locator(".bars .point").nth(int(found[2]) - 1)
    bar.locator("path").click(force=True)
    expect(page.get_by_text(f"Probe {found[2]}: bucket {found[1]}")).to_be_visible(timeout=WAIT)
    page.get_by_role("link", name=f"Open bucket {int(found[1], 2)}").click()
    expect(page.get_by_text(re.compile(f"Bucket {int(found[1], 2)} · key {found[1]}"))).to_be_visible(timeout=WAIT)
    assert "view=Buckets" in page.url
    assert f"bucket={int(found[1], 2)}" in page.url


def test_a_hover_over_the_code_says_the_bit_and_its_distance(page: Page, server: Server) -> None:
    begin(page, server, "view=Follow+a+query&query=1")
    strip = chart(page, "bit_strip").locator(".nsewdrag")
    expect(strip).to_be_visible(timeout=WAIT)
    box = strip.bounding_box()
    assert box
    strip.hover(position={"x": box["width"] / 128, "y": box["height"] / 16}, force=True)
    hover = chart(page, "bit_strip").locator(".hoverlayer")
    expect(hover).to_contain_text(re.compile(r"bit 0: [01].*distance to its hyperplane [+−-]\d"))


def test_a_point_of_the_curve_is_clicked_and_becomes_the_default(
    page: Page, server: Server, planted: tuple[Workspace, set[int], int]
) -> None:
    home = planted[0]
    begin(page, server, "view=Follow+a+query&query=1&query_in=Sandal")
    page.locator(".st-key-compute_probes button").first.click()
    curve = chart(page, "recall_probes")
    expect(curve.locator(".scatterlayer .point").first).to_be_visible(timeout=WAIT)
    button = page.locator(".st-key-default_probes button").first  # one with help is there twice
    expect(button).to_be_disabled()
    # the points of the first row are the recall of 1, 2, 4 and 8 buckets, and of all
    curve.locator(".subplot.xy .scatterlayer .trace").nth(1).locator(".point").nth(2).click(force=True)
    expect(button).to_be_enabled(timeout=WAIT)
    # while it is redrawn, the old one is there, too
    expect(page.locator(".st-key-point_probes input").first).to_have_value(re.compile("^4: recall"))
    button.click()
    expect(page.get_by_text("A search in “Sandal” probes 4 buckets from now on.")).to_be_visible(timeout=WAIT)
    expect(page.get_by_text(re.compile("By default a search in Sandal looks into 4 buckets"))).to_be_visible(
        timeout=WAIT
    )
    assert settings_in(home.collection(NAME).index_file).tunings["Sandal"] == Tuning(KEY_BITS, 4)


def test_a_planted_near_duplicate_leads_to_correct_labels_with_exactly_the_pairs(
    page: Page, server: Server, planted: tuple[Workspace, set[int], int]
) -> None:
    begin(page, server, "view=Health&category=Bag")
    pairs = page.locator(".pairs a")
    expect(pairs.first).to_be_visible(timeout=WAIT)
    titles = [pair.get_attribute("title") or "" for pair in pairs.all()]
    one, other = sorted(planted[1])
    assert any(title.startswith(f"Pictures {one} and {other}, cosine 1.000") for title in titles)
    shown = {int(number) for title in titles for number in re.findall(r"\d+", title.split(",")[0])}
    page.locator(".st-key-send_twins button").first.click()
    expect(page.get_by_text(f"Near-duplicates in Bag · {len(shown)} picked")).to_be_visible(timeout=WAIT)
    assert "selection=" in page.url


def test_a_planted_foreign_neighbour_is_found_and_sent(
    page: Page, server: Server, planted: tuple[Workspace, set[int], int]
) -> None:
    begin(page, server, "view=Health&category=Trouser")
    page.locator(".st-key-check_foreign button").first.click()
    boot = page.locator(f'.foreign a[title^="Picture {planted[2]}, labelled Trouser"]')
    expect(boot).to_be_visible(timeout=WAIT)
    expect(boot).to_contain_text("Trouser → Ankle boot")
    page.locator(".st-key-send_foreign button").first.click()
    expect(page.get_by_text(re.compile(r"Neighbours carry another label · \d+ picked"))).to_be_visible(timeout=WAIT)


@pytest.mark.parametrize(
    ("query", "last"),
    [
        ("view=Follow+a+query", "Query"),
        ("view=Follow+a+query&query=1", "compute_bits"),
        ("view=Health&category=Bag", "check_foreign"),
    ],
)
def test_on_a_phone_nothing_sticks_out(phone: Page, server: Server, query: str, last: str) -> None:
    begin(phone, server, query)
    expect(phone.locator(f".st-key-{last}" if "_" in last else ".begin a").last).to_be_visible(timeout=WAIT)
    assert fits(phone)
