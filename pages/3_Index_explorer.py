"""Index explorer: how evenly the buckets of the hash index are filled, what is in them, and what would change them."""

import streamlit as st

from fashion16.errors import Fashion16Error
from ui.explorer import buckets, categories, follow, health, overview, what_if
from ui.shared import frame

OVERVIEW, WHAT_IF, FOLLOW, HEALTH = "Overview", "What if", "Follow a query", "Health"

collection = frame.begin("Index explorer")
st.title("Index explorer", anchor=False)
if not collection.searcher.index.categories:
    st.info(
        f"“{collection.name}” has no pictures in its index. Import some: `fashion16 import {collection.name} --from "
        "FOLDER`.",
        icon=":material/grid_off:",
    )
    st.stop()
collection.refresh()  # other processes' corrections move pictures between buckets, too
view = st.segmented_control(
    "View", (OVERVIEW, categories.BUCKETS, WHAT_IF, FOLLOW, HEALTH), default=OVERVIEW, required=True, key="view",
    bind="query-params", label_visibility="collapsed", wrap=True,
)  # fmt: skip
try:
    if view == categories.BUCKETS:
        # a click redraws this part, and nothing else
        st.fragment(buckets.show)(collection)
    elif view == WHAT_IF:
        st.fragment(what_if.show)(collection)
    elif view == FOLLOW:
        follow.show(collection)
    elif view == HEALTH:
        health.show(collection)
    else:
        overview.show(collection)
except Fashion16Error as error:
    st.error(str(error), icon=":material/error:")
