"""Opening the collection once for all sessions, and what every page begins with."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from fashion16.collection import Collection
from fashion16.errors import Fashion16Error
from fashion16.workspace import DEFAULT_COLLECTION, Workspace

ICON = Path(__file__).parent / "icon.png"
# Streamlit leaves six rems above a title, which is a fifth of a phone's screen
STYLE = "<style>[data-testid=stMainBlockContainer]{padding-top:4rem}</style>"
PAGES = (
    ("streamlit_app.py", "Home", ":material/home:"),
    ("pages/1_Search.py", "Search", ":material/search:"),
)


def begin(title: str) -> Collection:
    """Draw the frame of a page and return the opened collection; stops the page with a sentence if it can't."""
    st.set_page_config(
        page_title=f"{title} · Fashion-16", page_icon=str(ICON), layout="wide", initial_sidebar_state=230
    )
    st.html(STYLE)
    workspace = Workspace()
    with st.sidebar:
        st.markdown("## Fashion‑16")
        for page, label, icon in PAGES:
            st.page_link(page, label=label, icon=icon)
    try:
        _import_once(workspace)
        collection = _open(str(workspace.root), workspace.database_url, DEFAULT_COLLECTION, _stamp(workspace))
    except Fashion16Error as error:
        st.error(str(error), icon=":material/error:")
        st.stop()
    with st.sidebar:
        st.caption(f"Collection **{collection.name}**  \n{len(collection.searcher.index):,} pictures")
    return collection


def _import_once(workspace: Workspace) -> None:
    """The first run fetches Fashion-MNIST and fills the catalogue, in view of the user."""
    flag = f"imported {workspace.root}"
    if st.session_state.get(flag):
        return
    if not workspace.is_imported(DEFAULT_COLLECTION):
        text = "Setting up Fashion‑MNIST’s 70,000 pictures. This happens once."
        bar = st.progress(0.0, text)
        workspace.import_fashion_mnist(lambda done, total: bar.progress(min(1.0, done / max(1, total)), text))
        bar.empty()
    st.session_state[flag] = True


@st.cache_resource(show_spinner="Opening the collection", max_entries=4, on_release=Collection.close)
def _open(root: str, database_url: str | None, name: str, stamp: tuple[int, ...]) -> Collection:
    """One opened collection for all sessions; `stamp` makes it anew when a file has been replaced."""
    return Workspace(Path(root), database_url).open(name)


def _stamp(workspace: Workspace) -> tuple[int, ...]:
    files = (
        workspace.encoder_folder / "encoder.json",
        workspace.head_file(DEFAULT_COLLECTION),
        workspace.index_file(DEFAULT_COLLECTION),
        workspace.pictures_file(DEFAULT_COLLECTION),
    )
    return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in files)
