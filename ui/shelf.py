"""The collections themselves: adding one, watching it come, giving it another name, removing it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pandas as pd
import streamlit as st

from fashion16 import holdings, jobs
from fashion16.collection import Collection
from fashion16.errors import Fashion16Error
from fashion16.head import LEARNABLE
from fashion16.import_log import ImportLog
from fashion16.jobs import JobState
from fashion16.layout import check_name
from fashion16.workspace import DEFAULT_COLLECTION, Workspace
from ui import gallery, people

UPLOAD_MB = 1000  # a ZIP is held in memory while it comes
TABLE_OPTIONS = ("table", "file_column", "label_column")
LAST_STEP = "Encoding"
EPOCH = "Epoch"  # a step of training, counted in thousandths and not in pictures
DOING = {
    "import": "is being made searchable",
    "index": "is being indexed",
    "label-issues": "is being ranked",
    "refit": "gets a new head",
    "evaluate": "is being measured",
    "train": "has a network in training",
    "map": "is being laid out as a map",
    "tune": "gets other buckets",
}
DONE = {
    "label-issues": "has been ranked: the labels most likely wrong come first",
    "index": "has a new index",
    "refit": "has a new head to choose: see Data set on the Correct labels page",
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


def about(collection: Collection) -> None:
    """What there is to know about the collection's labels and its last import."""
    counts = collection.catalogue.label_counts()
    small = [f"{gallery.plain(label)} ({n})" for label, n in counts.items() if n < LEARNABLE]
    if small:
        more = f" and {len(small) - 12:,} more" if len(small) > 12 else ""
        st.caption(
            f":material/info: Too small to learn, with fewer than {LEARNABLE} pictures: {', '.join(small[:12])}{more}. "
            "They can be searched, but are never predicted."
        )
    unlabelled = len(collection.catalogue.active()) - sum(counts.values())
    if unlabelled:
        st.caption(
            f":material/label_off: {unlabelled:,} pictures have no label, and are searched where it is predicted."
        )
    reports = ImportLog(collection.catalogue).reports()
    if reports and reports[0].n_skipped:
        with st.expander(
            f"{reports[0].n_skipped:,} files of the last import could not be used", icon=":material/report:"
        ):
            rows = pd.DataFrame(reports[0].skipped, columns=["file", "reason"])
            st.dataframe(rows, hide_index=True, width="stretch", key="skipped")


def manage(name: str) -> None:
    """Adding a collection, and for those that did not come with the app renaming and removing."""
    st.divider()
    if not people.may_manage():
        st.caption(
            "This app is shared: collections are added where it was made, with `make app` or "
            "`fashion16 import NAME --from FOLDER`."
        )
        return
    with st.expander("Add a collection", icon=":material/add_photo_alternate:", key="add"):
        _add()
    if name != DEFAULT_COLLECTION:
        with st.expander(f"Rename or remove “{name}”", icon=":material/settings:", key="settings"):
            _rename(name)
            _remove(name)


def _add() -> None:
    st.markdown(
        "A **ZIP** of a folder whose sub-folders are the labels, or of pictures beside a table (CSV or Parquet) with a "
        "column of files and one of labels. Pictures without labels are welcome, too."
    )
    st.text_input("Name", key="new_name", placeholder="my-shop", max_chars=40)
    st.file_uploader(f"ZIP, up to {UPLOAD_MB:,} MB", type="zip", key="new_zip", max_upload_size=UPLOAD_MB)
    st.text_input("… or a folder, a table or a ZIP on this computer", key="new_path", placeholder="/home/me/pictures")
    with st.popover("Its table", icon=":material/table:", help="Where its names don't say what is what."):
        st.text_input("Table", key="new_table", placeholder="labels.csv")
        st.text_input("Column of files", key="new_file_column", placeholder="file")
        st.text_input("Column of labels", key="new_label_column", placeholder="label")
    st.button("Import", type="primary", icon=":material/upload:", key="new_start", on_click=_start_import)
    if problem := st.session_state.pop("new_problem", ""):
        st.error(problem, icon=":material/error:")


def _start_import() -> None:
    """Begin the import of what the person chose (a callback)."""
    workspace = Workspace()
    upload, path = st.session_state.get("new_zip"), st.session_state.get("new_path", "").strip()
    name = st.session_state.get("new_name", "").strip() or _suggested(upload.name if upload else path)
    try:
        if upload is None and not path:
            raise _Incomplete("Choose a ZIP, or name a folder on this computer.")
        check_name(name)
        folder = workspace.job_folder(name)
        source = Path(path).expanduser()
        if upload is not None:
            source = _kept(upload, folder)
        elif not source.exists():
            raise _Incomplete(f"There is nothing at {source}. Correct its name.")
        named = {option: st.session_state.get(f"new_{option}", "").strip() for option in TABLE_OPTIONS}
        options = [
            part for option, value in named.items() if value for part in (f"--{option.replace('_', '-')}", value)
        ]
        start(folder, ["import", name, "--from", str(source), *options])
    except Fashion16Error as error:
        st.session_state.new_problem = str(error)
    else:
        st.session_state.new_name, st.session_state.new_path = "", ""


class _Incomplete(Fashion16Error):
    """The form lacks something."""


def _kept(upload: object, folder: Path) -> Path:
    """The upload as a file, because the import is a process of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / (re.sub(r"[^\w.-]+", "_", Path(upload.name).stem)[:80] + ".zip")
    with kept.open("wb") as file:
        file.write(upload.getbuffer())
    return kept


def _suggested(name: str) -> str:
    """A collection's name made of a file's."""
    return re.sub(r"[^a-z0-9]+", "-", Path(name).stem.lower()).strip("-")[:40].strip("-")


def start(folder: Path, arguments: list[str]) -> None:
    """Begin a command for a collection as a process of its own.

    Raises:
        BusyError: one runs already.
        WorkspaceError: the folder may not be written.
    """
    workspace = Workspace()
    environment = {"FASHION16_HOME": str(workspace.root), "FASHION16_DATABASE_URL": workspace.database_url or ""}
    jobs.start(folder, arguments, environment)


def _progress(folder: Path) -> None:
    """A running job; drawn anew every second by itself."""
    state = jobs.state(folder)
    if state is None or not state.running:
        st.rerun()
    with st.container(border=True, key=f"job_{folder.name}"):
        st.markdown(f"**{folder.name}** {DOING.get(state.arguments[0], 'is being worked on')}")
        share = min(1.0, state.done / state.total) if state.total else 0.0
        st.progress(share, _words(state))
        if people.may_manage():
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
        with workspace.catalogue(name) as catalogue:
            report = next(iter(ImportLog(catalogue).reports()), None)
        facts = f": {report.added:,} pictures added, {report.unchanged:,} there already, {report.n_skipped:,} skipped"
        st.success(f"**{name}** is ready{facts if report else ''}.", icon=":material/check_circle:")
    elif state.message and state.exit_status == 1:
        st.error(f"**{name}**: {gallery.plain(state.message)}", icon=":material/error:")
    else:
        st.warning(f"**{name}** was stopped. What is done is kept.", icon=":material/pause_circle:")
    with st.container(horizontal=True):
        if not state.was_cut_short and state.arguments[0] == "import":
            st.button("Open it", type="primary", key=f"open_{name}", on_click=_open_it, args=(folder,))
        elif state.was_cut_short and people.may_manage():
            again = list(state.arguments)
            st.button("Go on", type="primary", key=f"again_{name}", on_click=_try, args=(folder, again))
        if people.may_manage():
            st.button("Dismiss", key=f"dismiss_{name}", on_click=_forget, args=(folder,))


def _try(folder: Path, arguments: list[str]) -> None:
    try:
        start(folder, arguments)
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


def _rename(name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("New name", key="renamed", max_chars=40)
        st.button("Rename", icon=":material/edit:", key="rename", on_click=_do_rename, args=(name,))
    if problem := st.session_state.pop("shelf_problem", ""):
        st.error(problem, icon=":material/error:")


def _do_rename(name: str) -> None:
    new = st.session_state.renamed.strip()
    try:
        holdings.rename(Workspace(), name, new)
    except Fashion16Error as error:
        st.session_state.shelf_problem = str(error)
    else:
        st.session_state.renamed, st.session_state.open_next = "", new


def _remove(name: str) -> None:
    """Asked twice: by a tick, and by the name."""
    sure = st.checkbox(f"Remove “{name}” with all its pictures, labels and corrections", key="remove_tick")
    if sure:
        st.text_input(f"This cannot be undone. Write {name} to remove it", key="remove_name")
        st.button("Remove", icon=":material/delete:", key="remove", on_click=_do_remove, args=(name,))


def _do_remove(name: str) -> None:
    if st.session_state.remove_name.strip() != name:
        st.session_state.shelf_problem = f"Nothing was removed: that is not the name. Write {name} to remove it."
        return
    try:
        holdings.remove(Workspace(), name)
    except Fashion16Error as error:
        st.session_state.shelf_problem = str(error)
    else:
        st.session_state.remove_tick, st.session_state.remove_name = False, ""
        st.toast(f"{name} is removed", icon=":material/delete:")
