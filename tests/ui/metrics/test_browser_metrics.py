"""Training and measuring in a real browser: begun by a button, watched as they grow, reloaded meanwhile, stopped."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from fashion16 import jobs, settings
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.training.runs import runs_in
from tests.browsing import PHONE, WAIT, stop_job, watched
from tests.server import Server
from tests.training_runs import FIRST, RESULT, SECOND, category_settings, own_runs, write_run

NAME = DEFAULT_COLLECTION
LONG = 4 * WAIT  # for a job
QUICK_TRAINING = Path(__file__).with_name("quick_training")
EPOCH = re.compile(r"epoch (\d+) of (\d+)")
# how many points the category network's validation line of the loss has
POINTS = """() => {
    const chart = document.querySelector('.st-key-curve_loss .js-plotly-plot')
    const line = chart && chart._fullData && chart._fullData.find(one => /category-cnn, validation$/.test(one.name))
    return line ? line.x.length : 0
}"""


@pytest.fixture(scope="module")
def home(small_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    """Four hundred pictures of Fashion-MNIST, and no runs."""
    root = shutil.copytree(small_template, tmp_path_factory.mktemp("metrics") / "home", symlinks=True)
    made = own_runs(root)
    yield made
    jobs.stop(made.collection(NAME).job_folder)  # a test that failed may have left it


@pytest.fixture(scope="module")
def server_options() -> dict[str, Any]:
    # jobs inherit the path: what the page does with a training needs only something that reports epochs
    return {settings.MANAGE.variable: "1", "PYTHONPATH": str(QUICK_TRAINING)}


def train(page: Page, epochs: int, seed: int) -> None:
    """Begin a training of the category network."""
    page.get_by_role("button", name="Train now").click()
    for name, value in (("Epochs", epochs), ("Seed", seed)):
        field = page.get_by_role("spinbutton", name=name)
        field.fill(str(value))
        field.press("Enter")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("button", name="Start")).to_have_count(0)  # the form has closed


def test_a_training_is_begun_watched_stopped_and_gone_on_with(page: Page, server: Server, home: Workspace) -> None:
    page.goto(f"{server.url}/Metrics")
    expect(page.get_by_text("No network has been trained here yet")).to_be_visible(timeout=WAIT)
    train(page, 400, 5)
    expect(page.get_by_text(EPOCH)).to_be_visible(timeout=LONG)
    page.wait_for_function(POINTS, timeout=LONG)
    # it grows by itself
    before = page.evaluate(POINTS)
    page.wait_for_function(f"({POINTS})() > {before}")
    expect(page.get_by_role("button", name="Evaluate now")).to_be_disabled()
    page.reload()
    expect(page.get_by_text(EPOCH)).to_be_visible(timeout=WAIT)
    page.wait_for_function(f"({POINTS})() > {before}")
    stop_job(page)
    expect(page.get_by_text(re.compile(r"was interrupted after \d+ of 400 epochs"))).to_be_visible(timeout=WAIT)
    expect(page.get_by_text("was stopped. What is done is kept.")).to_be_visible(timeout=WAIT)
    (run,) = runs_in(home.runs_folder)
    done = len(run.history())
    assert (run.is_live, run.is_finished) == (False, False)
    assert 0 < done < 400

    page.locator("[class*=st-key-interrupted_]").get_by_role("button", name="Go on").click()
    expect(page.get_by_text(EPOCH)).to_be_visible(timeout=LONG)
    page.wait_for_function(f"({POINTS})() > {done}", timeout=LONG)
    assert [one.name for one in runs_in(home.runs_folder)] == [run.name]
    stop_job(page)
    expect(page.get_by_text("was stopped. What is done is kept.")).to_be_visible(timeout=WAIT)
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("was stopped. What is done is kept.")).to_have_count(0)


def test_a_training_that_ends_shows_its_result(page: Page, server: Server, home: Workspace) -> None:
    page.goto(f"{server.url}/Metrics")
    train(page, 2, 6)
    expect(page.get_by_text("has a trained network")).to_be_visible(timeout=LONG)
    run = runs_in(home.runs_folder)[0]
    assert (run.settings["epochs"], run.settings["seed"], run.result["test_pictures"]) == (2, 6, 100)
    # the chart of the newest run is there, with a star at its best epoch
    page.wait_for_function(f"({POINTS})() == 2")
    stars = "document.querySelector('.st-key-curve_accuracy .js-plotly-plot')._fullData.at(-1)"
    assert page.evaluate(f"[...{stars}.x]") == [run.result["best_epoch"]]
    page.get_by_role("button", name="Dismiss").click()


def test_evaluate_now_measures_the_collection(page: Page, server: Server, home: Workspace) -> None:
    page.goto(f"{server.url}/Metrics?view=Quality")
    page.get_by_role("button", name="Evaluate now").click()
    expect(page.get_by_text("is being measured")).to_be_visible(timeout=WAIT)
    page.reload()
    expect(page.get_by_text("has been measured: see Quality")).to_be_visible(timeout=LONG)
    assert home.collection(NAME).evaluation_file.is_file()
    page.get_by_role("button", name="Dismiss").click()
    expect(page.get_by_text("has been measured: see Quality")).to_have_count(0)


def test_a_link_brings_the_same_curves_and_a_point_says_raw_and_smoothed(
    page: Page, server: Server, home: Workspace
) -> None:
    write_run(home, FIRST, category_settings(home), result=RESULT)
    write_run(home, SECOND, category_settings(home, seed=17), result=RESULT)
    page.goto(f"{server.url}/Metrics?runs={SECOND}&runs={FIRST}&smoothing=0.5&axis=Minutes")
    loss = page.locator(".st-key-curve_loss .js-plotly-plot")
    expect(loss).to_be_visible(timeout=WAIT)
    read = "chart => [chart.data.length, chart.layout.xaxis.title.text, [...chart._fullData[1].x]]"
    # two runs, each with a raw and a smoothed line of both parts, and a star
    assert loss.evaluate(read) == [10, "Minutes", [1, 1.5, 3]]
    page.get_by_role("button", name="Options").click()
    page.get_by_text("Log scale of loss and learning rate").click()
    page.wait_for_url(re.compile("log=true"))
    page.keyboard.press("Escape")
    page.wait_for_function("document.querySelector('.st-key-curve_loss .js-plotly-plot').layout.yaxis.type === 'log'")
    expect(loss).to_have_count(1)  # the chart before it has gone
    # the third smoothed point of the last run's validation loss
    at = loss.evaluate(
        """chart => {
            const box = chart.getBoundingClientRect(), {xaxis, yaxis} = chart._fullLayout, line = chart._fullData[7]
            return [box.x + xaxis._offset + xaxis.d2p(line.x[2]), box.y + yaxis._offset + yaxis.d2p(line.y[2])]
        }"""
    )
    page.mouse.move(at[0] - 3, at[1])
    page.mouse.move(*at)
    said = page.locator(".st-key-curve_loss .hoverlayer")
    expect(said).to_contain_text("validation: raw 1.75")
    expect(said).to_contain_text("validation: smoothed 1.786")


def test_other_pages_are_a_click_away_and_the_choice_stays(page: Page, server: Server) -> None:
    page.goto(f"{server.url}/Metrics?runs={FIRST}")
    expect(page.get_by_role("figure").first).to_be_visible(timeout=WAIT)
    page.get_by_role("radio", name="The paper").click()
    page.wait_for_url(re.compile("view=The"))
    expect(page.locator(".st-key-curve_loss")).to_have_count(0)
    page.get_by_role("radio", name="Training").click()
    expect(page.locator(".st-key-curve_loss")).to_be_visible(timeout=WAIT)
    assert f"runs={FIRST}" in page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_stacks_the_charts_and_scrolls_one_way(tab: Callable[..., Page], server: Server, scheme: str) -> None:
    for phone in watched(tab(on_phone=True, scheme=scheme)):
        phone.goto(f"{server.url}/Metrics?runs={FIRST}")
        expect(phone.locator(".st-key-curve_accuracy .js-plotly-plot")).to_be_visible(timeout=WAIT)
        loss, accuracy = (phone.locator(f".st-key-curve_{name}").bounding_box() for name in ("loss", "accuracy"))
        assert loss is not None
        assert accuracy is not None
        assert accuracy["y"] >= loss["y"] + loss["height"]
        assert accuracy["x"] == loss["x"]
        assert phone.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
        # the axis' figures can be read on the theme's ground
        ink = phone.locator(".st-key-curve_loss .xtick text").first.evaluate("text => getComputedStyle(text).fill")
        bright = sum(int(value) for value in re.findall(r"\d+", ink)[:3]) / 3
        assert bright > 150 if scheme == "dark" else bright < 150
