"""The collections themselves: adding one, watching it come, giving it another name, removing it."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import streamlit as st

from fashion16.catalogue.imports import ImportLog
from fashion16.collections import manage
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from fashion16.errors import Fashion16Error
from fashion16.search.head import LEARNABLE
from ui.shared import access, messages, text
from ui.shared.jobs import start

UPLOAD_MB = 1000  # a ZIP is held in memory while it comes
TABLE_OPTIONS = ("table", "file_column", "label_column")


def about(collection: Collection) -> None:
    """What there is to know about the collection's labels and its last import."""
    counts = collection.catalogue.label_counts()
    small = [f"{text.plain(label)} ({n})" for label, n in counts.items() if n < LEARNABLE]
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


def section(name: str) -> None:
    """Adding a collection, and for those that did not come with the app renaming and removing."""
    st.divider()
    if not access.may_manage():
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
    messages.show("new_collection")


def _start_import() -> None:
    """Begin the import of what the person chose (a callback)."""
    upload, path = st.session_state.get("new_zip"), st.session_state.get("new_path", "").strip()
    name = st.session_state.get("new_name", "").strip() or _suggested(upload.name if upload else path)
    try:
        if upload is None and not path:
            raise _Incomplete("Choose a ZIP, or name a folder on this computer.")
        folder = Workspace().collection(name).job_folder
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
        messages.keep("new_collection", str(error), "problem")
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


def _rename(name: str) -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.text_input("New name", key="renamed", max_chars=40)
        st.button("Rename", icon=":material/edit:", key="rename", on_click=_do_rename, args=(name,))
    messages.show("collection")


def _do_rename(name: str) -> None:
    new = st.session_state.renamed.strip()
    try:
        manage.rename(Workspace().collection(name), new)
    except Fashion16Error as error:
        messages.keep("collection", str(error), "problem")
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
        words = f"Nothing was removed: that is not the name. Write {name} to remove it."
        messages.keep("collection", words, "problem")
        return
    try:
        manage.remove(Workspace().collection(name))
    except Fashion16Error as error:
        messages.keep("collection", str(error), "problem")
    else:
        st.session_state.remove_tick, st.session_state.remove_name = False, ""
        st.toast(f"{name} is removed", icon=":material/delete:")
