"""Correct labels: from the most suspicious on, one key for each decision; the next search knows."""

import streamlit as st

from fashion16.errors import Fashion16Error
from ui.labels import data_set, grid, history, one_by_one, queue, ranking
from ui.shared import access, frame, keys

ONE, GRID, HISTORY, DATA = "One by one", "Grid", "History", "Data set"

collection = frame.begin("Correct labels")
st.title("Correct labels", anchor=False)
if not access.may_correct():
    st.info("This app is shared to be looked at: labels are corrected where it was made.", icon=":material/lock:")
    st.stop()
keys.let_go()
first = GRID if st.query_params.get("selection") else ONE  # what was picked elsewhere is looked at together
view = st.segmented_control(
    "View", (ONE, GRID, HISTORY, DATA), default=first, required=True, key="view", bind="query-params",
    label_visibility="collapsed", wrap=True,
)  # fmt: skip
try:
    if view == HISTORY:
        history.show(collection)
    elif view == DATA:
        access.ask_name()
        data_set.show(collection)
    else:
        issues = ranking.of(collection)
        choice = queue.choose(collection, issues)
        ids = queue.kept(collection, issues, choice)
        shown = grid.show if view == GRID else one_by_one.show
        # a key redraws this part, and nothing else
        st.fragment(shown)(collection, issues, ids, choice)
except Fashion16Error as error:
    st.error(str(error), icon=":material/error:")
