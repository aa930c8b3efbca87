"""Metrics: how training went, how good what is served is, the paper's figures, and the collection as a map."""

import streamlit as st

from fashion16.errors import Fashion16Error
from ui.metrics import map as map_view
from ui.metrics import paper, peers, quality, train_buttons, training
from ui.shared import frame, jobs

TRAINING, QUALITY, PAPER, PEERS, MAP = "Training", "Quality", "The paper", "Peers", "Map"

collection = frame.begin("Metrics")
st.title("Metrics", anchor=False)
with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
    view = st.segmented_control(
        "View", (TRAINING, QUALITY, PAPER, PEERS, MAP), default=TRAINING, required=True, key="view",
        bind="query-params", label_visibility="collapsed", wrap=True,
    )  # fmt: skip
    train_buttons.offer(collection)
try:
    if view == TRAINING:
        training.show(collection)  # a run under way says more than the news
    else:
        jobs.news(collection.name)
        {QUALITY: quality.show, PAPER: paper.show, PEERS: peers.show, MAP: map_view.show}[str(view)](collection)
except Fashion16Error as error:
    st.error(str(error), icon=":material/error:")
