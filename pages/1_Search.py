"""Search: find similar garments within the predicted category."""

from time import perf_counter

import streamlit as st

from fashion16.errors import Fashion16Error
from ui.search import query as inputs
from ui.search import results, scope
from ui.shared import frame

collection = frame.begin("Search")
st.title("Search", anchor=False)
left, right = st.columns([3, 7], gap="medium")
try:
    with left:
        query = inputs.query(collection)
    with right:
        if query is None:
            results.invitation(collection)
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
        results.heading(answer)
        found = collection.results(answer)
        results.results(collection, found, on_pick=inputs.search_with)
        results.footer(answer, found, 1000 * (perf_counter() - start))
    with prediction:
        results.prediction(answer)
except Fashion16Error as error:
    st.error(str(error), icon=":material/error:")
