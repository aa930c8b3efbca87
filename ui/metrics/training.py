"""Training runs: curves of any number of them, those under way growing by themselves, and a table of all."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.errors import TrainingError
from fashion16.training.runs import Run, runs_in, settings_difference
from ui.metrics import train_buttons, training_charts
from ui.metrics.training_charts import EPOCHS, MINUTES
from ui.shared import access, csv, jobs
from ui.shared.text import plain

LOOK_EVERY = 3.0  # seconds between looks at a run that is under way
IDLE_LOOK_EVERY = 5.0  # and for one that somebody may begin in a terminal
MOST_INTERRUPTED = 3  # with a line of their own; the table has them all
LINE = (
    '<span style="display:inline-block;width:26px;vertical-align:middle;border-top:{style};opacity:{opacity}"></span> '
    "{words}"
)


@dataclass(frozen=True)
class Options:
    """How the curves are drawn; the options as they stand in the URL."""

    smoothing: float
    axis: str
    log: bool
    figures: tuple[str, ...]


def show(collection: Collection) -> None:
    """The curves of the chosen runs, what is under way and what was interrupted, and the table of all runs."""
    runs = runs_in(collection.stored.layout.runs_folder)
    waiting = jobs.running(collection.name) == "train"
    live = frozenset(run.name for run in runs if run.is_live)
    known = frozenset(run.name for run in runs)
    if not (waiting and live):  # else the run itself says more
        jobs.news(collection.name)
    if runs:
        chosen = _choose(runs, live)
        # while a run is under way, only this part is redrawn
        st.fragment(_curves, run_every=LOOK_EVERY if live or waiting else None)(collection, chosen, known, live)
    elif not waiting:
        _invite()
    if not live and not (runs and waiting):
        st.fragment(_look_out, run_every=LOOK_EVERY if waiting else IDLE_LOOK_EVERY)(collection, known, live)
    if runs:
        _interrupted(collection, [run for run in runs if not run.is_finished and run.name not in live])
        _table(runs)
        if len(runs) > 1:
            _difference(runs, chosen)


def title(run: Run) -> str:
    """A run's name for people: what, and when it was begun."""
    return f"{run.kind}, {run.begun_at:%d %b %Y %H:%M}" if run.begun_at else run.name


def state(run: Run) -> str:
    """How a run stands."""
    return "finished" if run.is_finished else "under way" if run.is_live else "interrupted"


def summary(runs: Sequence[Run]) -> pd.DataFrame:
    """A row a run: how it stands, what came of it, and everything that it was started with."""
    rows = []
    for run in runs:
        result, settings = run.result, run.settings
        history = _history(run)
        planned = settings.get("epochs")
        seconds = result.get("seconds", history["seconds"].sum() if "seconds" in history else None)
        named = {"epochs", "label_revision", "categories", "classes"}
        rows.append(
            {
                "run": run.name,
                "state": state(run),
                "epochs": f"{len(history)} of {planned}" if planned else str(len(history)),
                "best epoch": best_epoch(run, history),
                "validation accuracy": history["val_accuracy"].max() if "val_accuracy" in history else None,
                "test accuracy": result.get("test_accuracy"),
                "minutes": None if seconds is None else seconds / 60,
                "label revision": settings.get("label_revision"),
                "labels": len(settings.get("categories") or settings.get("classes") or ()) or None,
                **{key.replace("_", " "): value for key, value in settings.items() if key not in named},
                "computed in": result.get("dtype"),
                "commit": str(result.get("git_commit") or "")[:10],
            }
        )
    return pd.DataFrame(rows)


def best_epoch(run: Run, history: pd.DataFrame) -> int | None:
    """The epoch whose weights are kept, from 1; None before the first one has ended."""
    if isinstance(found := run.result.get("best_epoch"), int):
        return found
    accuracies = history.get("val_accuracy", pd.Series(dtype=float)).dropna()
    return int(history["epoch"][accuracies.idxmax()]) + 1 if len(accuracies) else None


def _choose(runs: Sequence[Run], live: frozenset[str]) -> list[str]:
    """The names of the runs to draw: those under way, else the newest, until the person chooses."""
    names = [run.name for run in runs]
    default = [name for name in names if name in live] or names[:1]
    seen, default_before = st.session_state.get("seen_runs", (names, default))
    if "runs" in st.session_state:
        # a run that was begun since is shown, beside those that the person has chosen; a short one may have ended
        fresh = [name for name in names if name not in seen]
        chosen = [name for name in st.session_state.runs if name in names]
        st.session_state.runs = default if fresh and chosen == default_before else [*chosen, *fresh]
    st.session_state.seen_runs = (names, default)
    return list(st.multiselect("Runs", names, default=default, key="runs", bind="query-params"))


def _options(chosen: Sequence[Run]) -> Options:
    figures = training_charts.figures_of([_history(run) for run in chosen])
    with st.popover("Options", icon=":material/tune:", key="curve_popover", width="content"):
        smoothing = st.slider("Smoothing", 0.0, 0.95, 0.0, 0.05, key="smoothing", bind="query-params")
        axis = st.segmented_control(
            "Axis", (EPOCHS, MINUTES), default=EPOCHS, required=True, key="axis", bind="query-params"
        )
        log = st.toggle("Log scale of loss and learning rate", key="log", bind="query-params")
        shown = st.multiselect(
            "Charts",
            figures,
            default=list(training_charts.FIRST),
            format_func=training_charts.words,
            key="figures",
            bind="query-params",
        )
    return Options(float(smoothing), str(axis or EPOCHS), bool(log), tuple(shown))


def _curves(collection: Collection, names: Sequence[str], known: frozenset[str], live: frozenset[str]) -> None:
    """What is under way, and the charts; redrawn by itself during a run."""
    _look_out(collection, known, live)
    runs = [run for run in runs_in(collection.stored.layout.runs_folder) if run.name in known]
    for run in runs:
        if run.name in live:
            _under_way(collection, run)
    by_name = {run.name: run for run in runs}
    chosen = [by_name[name] for name in names if name in by_name]
    if not chosen:
        st.info("Choose one run or more to see how they learnt.", icon=":material/show_chart:")
        return
    colours = training_charts.colours([run.name for run in chosen])
    with st.container(horizontal=True, vertical_alignment="center", key="curves_head"):
        legend = st.container(width="stretch")
        options = _options(chosen)
    with legend:
        _legend(chosen, colours, options)
    histories = {run.name: _history(run, so_far=run.name in live) for run in chosen}
    table = training_charts.tidy(histories, options.smoothing)
    if table.empty:
        st.caption("There is nothing to draw yet: the first batches are being learnt.")
        return
    titles = {run.name: title(run) for run in chosen}
    best = {run.name: epoch for run in chosen if (epoch := best_epoch(run, _history(run)))}
    figures = [figure for figure in options.figures if (table["figure"] == figure).any()]
    for number in range(0, len(figures), 2):
        pair = figures[number : number + 2]
        # one that is left over takes the whole width, and is lower for it
        height = training_charts.HEIGHT if len(pair) == 2 else training_charts.LOW
        for column, figure in zip(st.columns(len(pair), gap="medium"), pair, strict=True):
            with column:
                _chart(table, figure, titles, colours, options, best, height)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(":material/star: the epoch best on the validation pictures, whose weights are kept")
        csv.csv_button(table, "training-curves", key="curves_csv")


def _chart(
    table: pd.DataFrame,
    figure: str,
    titles: dict[str, str],
    colours: dict[str, str],
    options: Options,
    best: dict[str, int],
    height: int,
) -> None:
    log = options.log and "accuracy" not in figure
    chart = training_charts.curve(table, figure, colours, options.axis, log, best, height)
    words = training_charts.words(figure)
    with st.container(gap="xxsmall", key=f"curve_{figure}"):
        st.markdown(f"**{words}**")
        st.plotly_chart(
            chart,
            key=f"chart_{figure}",
            config={"displayModeBar": False},
            alt=f"{words} by {options.axis.lower()} of {', '.join(titles.values())}",
        )


def _legend(chosen: Sequence[Run], colours: dict[str, str], options: Options) -> None:
    """Which colour is whose: once for all charts."""
    parts = [
        f'<span><span style="color:{colours[run.name]}">●</span> {html.escape(title(run))}</span>' for run in chosen
    ]
    parts += [
        LINE.format(style="3px solid", opacity=0.9, words="validation"),
        LINE.format(style="2px dashed", opacity=0.75, words="training"),
    ]
    if options.smoothing:
        parts.append(LINE.format(style="2px solid", opacity=0.4, words="raw"))
    spans = "".join(f"<span>{part}</span>" for part in parts)
    st.html(f'<div style="display:flex;flex-wrap:wrap;gap:2px 18px;font-size:.875rem">{spans}</div>')


def _under_way(collection: Collection, run: Run) -> None:
    """How far a run is, what is left of it, and a way to stop it where the app has started it."""
    with st.container(border=True, key=f"live_{run.name}"):
        _progress(run)
        if access.may_manage() and jobs.trains(collection.name, run):
            st.button(
                "Stop", icon=":material/stop:", key=f"stop_{run.name}", on_click=jobs.stop, args=(collection.name,)
            )


def _progress(run: Run) -> None:
    now = run.progress()
    if now is None:
        st.progress(0.0, f"**{plain(title(run))}** · getting ready")
        return
    words = [f"**{plain(title(run))}**", f"epoch {now.epoch + 1} of {now.epochs}", f"{now.share:.0%} of it"]
    if (left := run.remaining_seconds()) is not None:
        words.append(f"about {left / 60:.0f} min left" if left > 90 else f"about {left:.0f} s left")
    words += [f"{key} {now.figures[key]:.3f}" for key in ("loss", "accuracy") if key in now.figures]
    st.progress(min(1.0, (now.epoch + now.share) / max(1, now.epochs)), " · ".join(words))


def _look_out(collection: Collection, known: frozenset[str], live: frozenset[str]) -> None:
    """Redraw the whole page when a run has begun or ended."""
    runs = runs_in(collection.stored.layout.runs_folder)
    if frozenset(run.name for run in runs) != known or frozenset(run.name for run in runs if run.is_live) != live:
        st.rerun()


def _interrupted(collection: Collection, runs: Sequence[Run]) -> None:
    """Each of the newest runs that have something left to do, and the way to do it."""
    for run in runs[:MOST_INTERRUPTED]:
        planned = run.settings.get("epochs", "?")
        with st.container(horizontal=True, vertical_alignment="center", key=f"interrupted_{run.name}"):
            st.markdown(
                f":material/pause_circle: **{plain(title(run))}** was interrupted after {len(_history(run))} of "
                f"{planned} epochs; the same command goes on.",
                width="content",
            )
            if not access.may_manage():
                continue
            arguments = train_buttons.go_on(run, collection)
            st.button(
                "Go on",
                key=f"go_on_{run.name}",
                icon=":material/play_arrow:",
                disabled=arguments is None
                or not train_buttons.can_train()
                or jobs.running(collection.name) is not None,
                help=None if arguments else train_buttons.NO_WAY_ON.get(run.kind),
                on_click=jobs.begin,
                args=(collection.name, arguments),
            )


def _table(runs: Sequence[Run]) -> None:
    frame = summary(runs)
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        st.markdown("#### All runs")
        csv.csv_button(frame, "training-runs", key="runs_csv")
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        frame,
        hide_index=True,
        width="stretch",
        key="runs_table",
        placeholder="",
        column_config={
            "validation accuracy": percent,
            "test accuracy": percent,
            "minutes": st.column_config.NumberColumn(format="%.1f"),
        },
    )


def _difference(runs: Sequence[Run], chosen: Sequence[str]) -> None:
    """What two runs were started with, where it differs."""
    names = [run.name for run in runs]
    first, second = (*chosen, *(name for name in names if name not in chosen))[:2]
    with st.expander("How two runs differ", icon=":material/difference:", key="difference"):
        left, right = st.columns(2)
        a = left.selectbox("One", names, index=names.index(first), key="one", bind="query-params")
        b = right.selectbox("The other", names, index=names.index(second), key="other", bind="query-params")
        by_name = {run.name: run for run in runs}
        frame = settings_difference(by_name[a], by_name[b]).rename(columns={"a": a, "b": b} if a != b else {})
        if frame.empty:
            st.caption("They were started with the same settings.")
            return
        st.dataframe(frame, hide_index=True, width="stretch", key="difference_table")
        csv.csv_button(frame, "settings-difference", key="difference_csv")


def _invite() -> None:
    st.info(
        "No network has been trained here yet. Press “Train now”, or run this; the curves appear while it trains:",
        icon=":material/model_training:",
    )
    st.code("fashion16 train category-cnn --epochs 20", language="bash")


def _history(run: Run, so_far: bool = False) -> pd.DataFrame:
    """The run's history; `so_far` with the epoch under way as its last row."""
    try:
        history = run.history()
    except TrainingError as error:
        st.warning(plain(str(error)), icon=":material/warning:")
        return pd.DataFrame({"epoch": pd.Series(dtype=int)})
    now = run.progress() if so_far else None
    if now is None or not now.figures or now.epoch < len(history) or not 0 < now.share < 1:
        return history
    spent = now.seconds - (history["seconds"].sum() if "seconds" in history else 0.0)
    row = {"epoch": now.epoch + now.share - 1, "seconds": max(0.0, spent), **now.figures}
    return pd.concat([history, pd.DataFrame([row])], ignore_index=True)
