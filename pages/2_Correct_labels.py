"""Correct labels: from the most suspicious on, one key for each decision; the next search knows."""

import streamlit as st

from fashion16.errors import Fashion16Error
from ui import dataset, keys, label_grid, labelling, people, queue, ranking, session, trail

ONE, GRID, HISTORY, DATA = "One by one", "Grid", "History", "Data set"

collection = session.begin("Correct labels")
st.title("Correct labels", anchor=False)
if not people.may_correct():
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
        trail.show(collection)
    elif view == DATA:
        people.ask_name()
        dataset.show(collection)
    else:
        issues = ranking.of(collection)
        choice = queue.choose(collection, issues)
        ids = queue.kept(collection, issues, choice)
        shown = label_grid.show if view == GRID else labelling.show
        # one key draws this part anew, and nothing else
        st.fragment(shown)(collection, issues, ids, choice)
except Fashion16Error as error:
    st.error(str(error), icon=":material/error:")
