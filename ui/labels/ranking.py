"""The ranking by suspicion on the page: opened once for all, made by a command beside it."""

from __future__ import annotations

import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.jobs import state
from fashion16.labels import issues as suspicion
from fashion16.labels.issues import LabelIssues
from ui.shared import jobs

MANY = 200  # decisions after which a new ranking is worth its minute


def of(collection: Collection) -> LabelIssues | None:
    """The collection's ranking, and what there is to do about it; None where there is none yet."""
    layout = collection.stored.layout
    path = collection.stored.label_issues_file
    jobs.news(collection.name)
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    issues = _opened(str(layout.root), layout.database_url, collection.name, stamp, collection) if stamp else None
    job = state(collection.stored.job_folder)
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
            _button(collection.name, "Rank again", "tertiary")
    return issues


def _button(name: str, words: str, kind: str) -> None:
    st.button(
        words,
        type=kind,
        icon=":material/troubleshoot:",
        key="rank",
        on_click=jobs.begin,
        args=(name, ["label-issues", name]),
    )


@st.cache_resource(show_spinner="Opening the ranking", max_entries=4)
def _opened(root: str, database_url: str | None, name: str, stamp: int, _collection: Collection) -> LabelIssues | None:
    return suspicion.kept(_collection.stored)
