"""Home: what is here, in figures and pictures, and the doors to the pages."""

import streamlit as st

from fashion16.collections.opened import Collection
from ui.home import collections
from ui.shared import cards, frame, jobs, pictures


def home(collection: Collection) -> None:
    if st.button("Search with a photo", type="primary", icon=":material/search:", key="door_search"):
        # the session keeps the collection; Streamlit refuses to set a parameter that a widget of this page is bound to
        st.switch_page("pages/1_Search.py", query_params={})
    index = collection.searcher.index
    buckets = sum(2**partition.key_bits for partition in index.partitions.values())
    with st.grid(4, min_column_width=150, key="figures"):
        cards.figure("Pictures", f"{len(index):,}", collection.name)
        cards.figure("Categories", f"{len(index.categories)}", "one hash index each")
        cards.figure("Encoder", "VGG‑16", f"{index.hyperplanes.dimensions} dimensions")
        cards.figure("Hash code", f"{index.hyperplanes.n_bits} bits", f"{buckets:,} buckets")

    collections.about(collection)

    st.subheader("Pick a picture to begin", anchor=False)
    pictures.wall(collection, 120)


name = frame.frame("Home")
st.title("Fashion‑16", anchor=False)
st.markdown("Upload a photo of a garment and find the 20 most similar ones.")
jobs.news()
if collection := frame.opened_or_said(name):
    home(collection)
# last, and not before what stands above it: a form that moves while it is being used loses clicks
collections.section(name)
