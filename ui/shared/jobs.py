"""Commands that run as processes of their own: starting, watching and stopping them."""

from __future__ import annotations

import shutil
from pathlib import Path

import streamlit as st

from fashion16 import jobs
from fashion16.catalogue.imports import ImportLog
from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from fashion16.errors import Fashion16Error
from fashion16.jobs import JobState
from fashion16.training.runs import Run
from ui.shared import access, text


def start_button(collection: Collection, words: str, arguments: list[str], key: str, icon: str = "") -> None:
    """A button that starts a `fashion16` command for the collection; grey while another one runs."""
    st.button(
        words, icon=icon or None, key=key, disabled=running(collection.name) is not None, on_click=begin,
        args=(collection.name, arguments),
    )  # fmt: skip


def running(name: str) -> str | None:
    """The command that runs for the collection, its first word; None where none does."""
    state = jobs.state(_folder(name))
    return state.arguments[0] if state and state.running and state.arguments else None


def trains(name: str, run: Run) -> bool:
    """Whether the command that runs for the collection is the one that trains this run."""
    state = jobs.state(_folder(name))
    return bool(state and state.running and state.arguments[:2] == ("train", run.kind) and run.is_live)


def stop(name: str) -> None:
    """Stop the collection's command, as Ctrl-C does (a callback)."""
    jobs.stop(_folder(name))


LAST_STEP = "Encoding"


EPOCH = "Epoch"  # a step of training, counted in thousandths and not in pictures


DOING = {
    "import": "is being made searchable",
    "index": "is being indexed",
    "label-issues": "is being ranked",
    "refit": "gets a new classifier",
    "evaluate": "is being measured",
    "train": "has a network in training",
    "map": "is being laid out as a map",
    "tune": "gets other buckets",
}


DONE = {
    "label-issues": "has been ranked: the labels most likely wrong come first",
    "index": "has a new index",
    "refit": "has a new classifier to choose: see Data set on the Correct labels page",
    "evaluate": "has been measured: see Quality on the Metrics page",
    "train": "has a trained network: see Training on the Metrics page",
    "map": "has a new map: see Map on the Metrics page",
    "tune": "has other buckets: see the Index explorer",
}


def news(only: str = "*") -> None:
    """A card for each collection, or the one of this name, that is being worked on, or was since somebody looked."""
    workspace = Workspace()
    folders = sorted(path for path in workspace.jobs_folder.glob(only) if (path / "job.json").is_file())
    running = [folder for folder in folders if (state := jobs.state(folder)) and state.running]
    for folder in folders:
        if folder in running:
            st.fragment(_progress, run_every=1.0)(folder)
        elif (state := jobs.state(folder)) is not None:
            _ended(workspace, folder, state)


def start(folder: Path, arguments: list[str]) -> None:
    """Begin a command for a collection as a process of its own.

    Raises:
        BusyError: one runs already.
        WorkspaceError: the folder may not be written.
    """
    workspace = Workspace()
    environment = {"FASHION16_HOME": str(workspace.root), "FASHION16_DATABASE_URL": workspace.database_url or ""}
    jobs.start(folder, arguments, environment)


def _folder(name: str) -> Path:
    return Workspace().collection(name).job_folder


def _progress(folder: Path) -> None:
    """A running job; redrawn every second."""
    state = jobs.state(folder)
    if state is None or not state.running:
        st.rerun()
    with st.container(border=True, key=f"job_{folder.name}"):
        st.markdown(f"**{folder.name}** {DOING.get(state.arguments[0], 'is being worked on')}")
        share = min(1.0, state.done / state.total) if state.total else 0.0
        st.progress(share, _words(state))
        if access.may_manage():
            st.button("Stop", icon=":material/stop:", key=f"stop_{folder.name}", on_click=jobs.stop, args=(folder,))


def _words(state: JobState) -> str:
    if not state.step:
        return "Starting"
    words = state.step
    if state.total and state.step.startswith(EPOCH):
        return f"{words} · {state.done / state.total:.0%}"
    if state.total:
        words += f" · {state.done:,} of {state.total:,}"
    if state.rate and state.step != "Fetching":
        left = (state.total - state.done) / state.rate
        words += f" · {state.rate:,.0f} a second"
        words += f" · about {left / 60:.0f} min left" if left > 90 else f" · about {left:.0f} s left"
    if state.step == LAST_STEP and state.done == state.total:
        words = "Building the index"
    return words


def _ended(workspace: Workspace, folder: Path, state: JobState) -> None:
    name = folder.name
    if not state.was_cut_short and state.arguments[0] in DONE:
        st.success(f"**{name}** {DONE[state.arguments[0]]}.", icon=":material/check_circle:")
    elif not state.was_cut_short:
        with workspace.collection(name).catalogue() as catalogue:
            report = next(iter(ImportLog(catalogue).reports()), None)
        facts = f": {report.added:,} pictures added, {report.unchanged:,} there already, {report.n_skipped:,} skipped"
        st.success(f"**{name}** is ready{facts if report else ''}.", icon=":material/check_circle:")
    elif state.message and state.exit_status == 1:
        st.error(f"**{name}**: {text.plain(state.message)}", icon=":material/error:")
    else:
        st.warning(f"**{name}** was stopped. What is done is kept.", icon=":material/pause_circle:")
    with st.container(horizontal=True):
        if not state.was_cut_short and state.arguments[0] == "import":
            st.button("Open it", type="primary", key=f"open_{name}", on_click=_open_it, args=(folder,))
        elif state.was_cut_short and access.may_manage():
            again = list(state.arguments)
            st.button("Go on", type="primary", key=f"again_{name}", on_click=begin, args=(name, again))
        if access.may_manage():
            st.button("Dismiss", key=f"dismiss_{name}", on_click=_forget, args=(folder,))


def begin(name: str, arguments: list[str]) -> None:
    """Start a command for the collection, or say why it cannot start (a callback)."""
    try:
        start(_folder(name), arguments)
    except Fashion16Error as error:
        st.toast(str(error), icon=":material/error:")


def _open_it(folder: Path) -> None:
    st.session_state.open_next = folder.name
    _forget(folder)


def _forget(folder: Path) -> None:
    """Remove what is left of a job that has ended, its upload too."""
    state = jobs.state(folder)
    if state and not state.running:
        shutil.rmtree(folder, ignore_errors=True)
