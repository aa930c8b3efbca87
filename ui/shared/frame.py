"""What every page begins with: its frame, the choice of a collection, and the collection opened for all sessions."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from fashion16 import jobs, logs, settings
from fashion16.collections import manage
from fashion16.collections.importing import import_fashion_mnist
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.opened import Collection
from fashion16.collections.packing import unpack
from fashion16.collections.stored import StoredCollection
from fashion16.collections.workspace import Workspace
from fashion16.errors import Fashion16Error, SettingsError

ICON = Path(__file__).parent / "icon.png"
# Streamlit leaves six rems above a title, which is a fifth of a phone's screen
STYLE = "<style>[data-testid=stMainBlockContainer]{padding-top:4rem}</style>"
PAGES = (
    ("streamlit_app.py", "Home", ":material/home:"),
    ("pages/1_Search.py", "Search", ":material/search:"),
    ("pages/2_Correct_labels.py", "Correct labels", ":material/label:"),
    ("pages/3_Index_explorer.py", "Index explorer", ":material/grid_view:"),
    ("pages/4_Metrics.py", "Metrics", ":material/monitoring:"),
)


def begin(title: str) -> Collection:
    """Draw the frame of a page and return the chosen collection; stops the page with a sentence if it can't."""
    return opened(frame(title))


def frame(title: str) -> str:
    """Draw what is around a page, and return the name of the collection that is chosen in the sidebar."""
    st.set_page_config(
        page_title=f"{title} · Fashion-16", page_icon=str(ICON), layout="wide", initial_sidebar_state=230
    )
    st.html(STYLE)
    try:
        settings.check()
    except SettingsError as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
    if (level := settings.log_level()) is not None:
        logs.to_stderr(level)
    names = manage.names(Workspace())
    first = first_name()
    if first not in names:
        names.insert(0, first)  # what opens it says that it is not there
    # a link to the entry page loses its query parameters, so the choice is kept beside the widget's own state
    wanted = st.session_state.pop("open_next", None) or st.session_state.get("kept_collection")
    if wanted in names and (wanted != st.session_state.get("kept_collection") or "collection" not in st.query_params):
        st.session_state.collection = wanted
    elif st.session_state.get("collection") not in (None, *names):
        del st.session_state["collection"]  # it was removed or renamed
    with st.sidebar:
        st.markdown("## Fashion‑16")
        links = st.container(gap="xxsmall")
        name = st.selectbox(
            "Collection",
            names,
            index=names.index(first),
            key="collection",
            bind="query-params",
            persist_state="session",
            on_change=_choose,
        )
        st.session_state.kept_collection = name
        query_params = address(str(name))
        with links:
            for page, label, icon in PAGES:
                st.page_link(page, label=label, icon=icon, query_params=query_params)
    return str(name)


def address(name: str) -> dict[str, str]:
    """What a link to a page needs so that the page opens this collection."""
    return {} if name == first_name() else {"collection": name}


def first_name() -> str:
    """The collection that is shown where the address names none: one that was packed for sharing comes first."""
    workspace = Workspace()
    packed = [name for name in manage.names(workspace) if workspace.collection(name).pack_folder.is_dir()]
    return settings.first_collection() or next(iter(packed), DEFAULT_COLLECTION)


def opened(name: str) -> Collection:
    """The collection of this name; stops the page with a sentence if it cannot be opened."""
    collection = opened_or_said(name)
    if collection is None:
        st.stop()
    return collection


def opened_or_said(name: str) -> Collection | None:
    """The collection of this name, or None when a sentence says why it cannot be opened."""
    try:
        stored = Workspace().collection(name)
    except Fashion16Error as error:
        st.error(str(error), icon=":material/error:")
        return None
    try:
        _prepare(stored)
        collection = _open(str(stored.layout.root), stored.layout.database_url, name, _stamp(stored), stored)
    except Fashion16Error as error:
        job = jobs.state(stored.job_folder)
        if job and job.running:
            st.info(
                f"“{name}” is being made searchable. The Home page shows how far it is.", icon=":material/hourglass:"
            )
        else:
            st.error(str(error), icon=":material/error:")
        return None
    with st.sidebar:
        st.caption(f"{len(collection.searcher.index):,} pictures")
    return collection


def _choose() -> None:
    """Another collection: a number means another picture in it, and a category may not be there (a callback)."""
    st.session_state.kept_collection = st.session_state.collection
    for key in ("id", "in"):
        if key in st.session_state:
            st.session_state[key] = None if key == "id" else []


def _prepare(stored: StoredCollection) -> None:
    """The first run fetches Fashion-MNIST or opens a pack, in view of the user."""
    flag = f"prepared {stored.layout.root} {stored.name}"
    if st.session_state.get(flag):
        return
    with st.spinner(f"Opening “{stored.name}”", show_time=True):
        unpack(stored)
    if stored.name == DEFAULT_COLLECTION and not stored.is_imported():
        text = "Setting up Fashion‑MNIST’s 70,000 pictures. This happens once."
        bar = st.progress(0.0, text)
        import_fashion_mnist(stored, lambda done, total: bar.progress(min(1.0, done / max(1, total)), text))
        bar.empty()
    st.session_state[flag] = True


@st.cache_resource(show_spinner="Opening the collection", max_entries=4, on_release=Collection.close)
def _open(
    root: str, database_url: str | None, name: str, stamp: tuple[int, ...], _stored: StoredCollection
) -> Collection:
    """One opened collection for all sessions; another `stamp` opens it again when a file has been replaced."""
    return Collection.open(_stored)


def _stamp(stored: StoredCollection) -> tuple[int, ...]:
    files = (
        stored.layout.encoder_card,
        stored.head_file,
        stored.index_file,
        stored.pictures_file,
    )
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
