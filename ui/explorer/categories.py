"""Which category a page looks at, as its link says."""

from __future__ import annotations

from itertools import count

import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.search.partition import Partition

BUCKETS = "Buckets"  # the view that looks into one category, as it stands in the URL
OF_A_CATEGORY = ("bucket", "key_bits", "n_bits", "seed", "n_probes")
_MARKS = count()


def choose(collection: Collection) -> str:
    """Draw the choice of a category of the index, and return it."""
    names = collection.searcher.index.categories
    if st.session_state.get("category") not in (None, *names):
        del st.session_state["category"]  # its last picture has moved to another one
    return str(st.selectbox("Category", names, key="category", bind="query-params", on_change=forget, width=260))


def forget() -> None:
    """Another category has other buckets and other settings (a callback)."""
    for key in OF_A_CATEGORY:
        st.session_state.pop(key, None)
    if "sizes" in st.query_params:
        del st.query_params["sizes"]


def mark(partition: Partition) -> int:
    """A number of this very partition, by which what was worked out of it is kept.

    Partitions never change, and `id` gives the number of one that is gone to another.
    """
    return int(vars(partition).setdefault("mark", next(_MARKS)))
