"""Search: find similar garments within the predicted category."""

from time import perf_counter

import streamlit as st

from fashion16.errors import Fashion16Error
from ui import gallery, inputs, scope, session

collection = session.begin("Search")
st.title("Search", anchor=False)
left, right = st.columns([3, 7], gap="medium")
try:
    with left:
        query = inputs.query(collection)
    with right:
        if query is None:
            gallery.invitation(collection)
            st.stop()
        start = perf_counter()
        classified = collection.classify(query.photo)
    with left:
        prediction = st.container()
    with right:
        chosen = scope.choose(collection, classified)
        answer = collection.find(
            classified,
            categories=chosen.categories,
            hide_near_duplicates=chosen.hide_near_duplicates,
            leave_out=query.item_id,
        )
        gallery.heading(answer)
        found = collection.results(answer)
        gallery.results(collection, found, on_pick=inputs.search_with)
        gallery.footer(answer, found, 1000 * (perf_counter() - start))
    with prediction:
        gallery.prediction(answer)
except Fashion16Error as error:
    st.error(str(error), icon=":material/error:")
