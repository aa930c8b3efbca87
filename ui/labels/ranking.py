"""The ranking by suspicion on the page: opened once for all, made by a command beside it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from fashion16 import jobs
from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from fashion16.errors import Fashion16Error
from fashion16.labels import issues as suspicion
from fashion16.labels.issues import LabelIssues
from ui.shared import jobs as shelf

MANY = 200  # decisions after which a new ranking is worth its minute


def of(collection: Collection) -> LabelIssues | None:
    """The collection's ranking, and what there is to do about it; None where there is none yet."""
    workspace = Workspace()
    path = workspace.label_issues_file(collection.name)
    shelf.news(collection.name)
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    issues = _opened(str(workspace.root), workspace.database_url, collection.name, stamp) if stamp else None
    job = jobs.state(workspace.job_folder(collection.name))
    if job and job.running:
        return issues
    if issues is None:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.info(
                "The labels most likely wrong come first once they have been ranked.", icon=":material/troubleshoot:"
            )
            _button(collection.name, "Rank by suspicion", "primary")
    elif (since := collection.catalogue.n_corrections_since(issues.revision)) >= MANY:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(f"{since:,} decisions since the labels were ranked.")
            _button(collection.name, "Rank anew", "tertiary")
    return issues


def _button(name: str, words: str, kind: str) -> None:
    st.button(words, type=kind, icon=":material/troubleshoot:", key="rank", on_click=_start, args=(name,))


def _start(name: str) -> None:
    try:
        shelf.start(Workspace().job_folder(name), ["label-issues", name])
    except Fashion16Error as error:
        st.toast(str(error), icon=":material/error:")


@st.cache_resource(show_spinner="Opening the ranking", max_entries=4)
def _opened(root: str, database_url: str | None, name: str, stamp: int) -> LabelIssues | None:
    return suspicion.kept(Workspace(Path(root), database_url), name)
