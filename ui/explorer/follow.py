"""One query through the index: its code, the buckets probed in order, and where its true neighbours lie."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.errors import Fashion16Error
from fashion16.explore import probing
from fashion16.explore.probing import Followed
from fashion16.images import MAX_BYTES, check_size, read_photo
from fashion16.search.index import K
from fashion16.search.searcher import Classified
from fashion16.types import Pixels
from ui.explorer import categories, probes, probing_charts, recall_curves
from ui.shared import csv, pictures, text, upload

COLLECTION, PHOTO = "Collection", "Photo"
NO_BAR = {"displayModeBar": False}
PREDICTED = ""


@dataclass(frozen=True)
class Query:
    photo: Pixels
    name: str
    item_id: int | None


def show(collection: Collection) -> None:
    """The query, its code, its probes and its true neighbours; below, recall against cost for its category."""
    try:
        query = _query(collection)
    except Fashion16Error as error:
        st.error(str(error), icon=":material/error:")
        query = None
    if query is None:
        _invitation(collection)
        if category := _category(collection, None):
            recall_curves.show(collection, category)
        return
    classified = collection.classify(query.photo)
    left, right = st.columns([1, 3], gap="medium")
    with left:
        category = _picture(collection, query, classified)
    followed = probing.follow(
        collection.searcher.index, category, classified.embedding, k=K, leave_out=query.item_id
    )  # fmt: skip
    with right:
        _code(followed, query)
    st.fragment(probes.show)(collection, category, followed, query.name)
    _neighbours(collection, category, followed, query)
    recall_curves.show(collection, category)


def _query(collection: Collection) -> Query | None:
    """A picture of the collection by its number, or the person's own photo."""
    st.caption(
        "What a search does, step by step: the picture becomes a code of bits, the first of them name a bucket, and "
        "the buckets nearest to the picture are looked into first."
    )
    if "query" in st.query_params and "query_from" not in st.query_params:
        st.session_state.setdefault("query_from", COLLECTION)
    source = st.segmented_control(
        "Query", (COLLECTION, PHOTO), default=COLLECTION, required=True, key="query_from", bind="query-params",
        label_visibility="collapsed",
    )  # fmt: skip
    if source == PHOTO:
        file = st.file_uploader(
            f"A photo of one garment, up to {MAX_BYTES // 2**20} MB", type="image", key="query_photo",
            max_upload_size=upload.WIDGET_MB,
        )  # fmt: skip
        if file is None:
            return None
        check_size(file.size)
        return Query(read_photo(file.getvalue()), "your photo", None)
    with st.container(horizontal=True, vertical_alignment="bottom", wrap=False, key="query_number"):
        number = st.number_input(
            "Picture number", min_value=0, step=1, value=None, placeholder="e.g. 1234", key="query",
            bind="query-params", width=220, on_change=_forget_probe,
        )  # fmt: skip
        st.button("Random", icon=":material/casino:", key="query_random", on_click=_draw, args=(collection,))
    if number is None:
        return None
    return Query(collection.picture(int(number)), f"picture {int(number)}", int(number))


def _forget_probe() -> None:
    """Another query has other probes (a callback)."""
    st.session_state.pop("probe", None)


def _draw(collection: Collection) -> None:
    """Another picture, in the category that is predicted for it (a callback)."""
    st.session_state.query = collection.random_ids(1)[0]
    st.session_state.query_in = PREDICTED
    _forget_probe()


def _invitation(collection: Collection) -> None:
    st.info(
        "Write the number of a picture, draw one with Random, upload a photo, or begin with one of these.",
        icon=":material/route:",
    )
    ids = collection.random_ids(16, seed=st.session_state.setdefault("follow_seed", 16))
    items = collection.catalogue.items(ids)
    cells = [
        pictures.cell([collection.thumbnail(item, 112)], f"Follow picture {item.id}", text.label(item),
              pictures.address(collection, view=pictures.FOLLOW, query=item.id))
        for item in items
    ]  # fmt: skip
    pictures.grid(cells, "begin", 76)


def _category(collection: Collection, classified: Classified | None) -> str | None:
    """The category to search in: the predicted one unless the person chooses another."""
    names = collection.searcher.index.categories
    predicted = None
    if classified is not None:
        predicted = next((name for name in classified.probabilities if name in set(names)), names[0])
    if st.session_state.get("query_in") not in (None, PREDICTED, *names):
        del st.session_state["query_in"]  # its last picture has moved to another one
    none = f"{predicted} (predicted)" if predicted else "Choose one, for its curves"
    chosen = st.selectbox(
        "Category", [PREDICTED, *names], key="query_in", bind="query-params", width=260,
        format_func=lambda name: name or none,
    )  # fmt: skip
    return str(chosen) if chosen else predicted


def _picture(collection: Collection, query: Query, classified: Classified) -> str:
    """The query's picture and what it is taken for; returns the category to search in."""
    if query.item_id is not None:
        item = collection.catalogue.item(query.item_id)
        st.image(collection.thumbnail(item, 320), width=170, alt=f"Picture {item.id}, labelled {text.label(item)}")
        st.markdown(f"Picture **{item.id}**, labelled **{text.plain(text.label(item))}**")
    else:
        st.image(query.photo, width=170)
        st.markdown("Your photo")
    share = classified.probabilities.get(classified.category, 0.0) if classified.probabilities else 0.0
    if classified.probabilities:
        st.markdown(f"predicted **{text.plain(classified.category)}**, {share:.0%}")
    return str(_category(collection, classified))


def _code(followed: Followed, query: Query) -> None:
    n, key_bits = len(followed.bits), followed.key_bits
    st.markdown(
        f"**Its code of {n:,} bits**",
        help="Each hyperplane cuts the space of pictures in two; the bit says on which side this picture lies: orange "
        "for 1, blue for 0. Where the colour is pale the picture lies close to the hyperplane, and a picture much "
        "like it may well lie on the other side: the bit is unsure. Framed: the bits that name the bucket.",
    )
    st.plotly_chart(
        probing_charts.bit_strip(followed.bits, followed.margins, key_bits), key="bit_strip", config=NO_BAR,
        alt=f"Code of {query.name}: {int(followed.bits.sum())} of {n} bits are 1",
    )  # fmt: skip
    st.html(
        '<div style="font-size:.8rem;opacity:.85;margin-top:-.8rem">'
        f'<span style="color:{probing_charts.ONE}">■</span> 1 &ensp;'
        f'<span style="color:{probing_charts.ZERO}">■</span> 0 &ensp; pale: unsure, close to its hyperplane</div>'
    )
    bits = pd.DataFrame(
        {"bit": range(n), "value": followed.bits.astype(int), "distance": followed.margins, "in_key": False}
    )
    bits.loc[bits["bit"] < key_bits, "in_key"] = True
    if key_bits:
        own = "".join(str(int(bit)) for bit in followed.bits[:key_bits])
        st.markdown(
            f"**Its bucket: {own}**, which is number {int(own, 2):,} of {2**key_bits:,}",
            help="The first bits as a number. The next buckets to look into are those on the other side of the "
            "hyperplanes that lie closest: the shortest bars are flipped first.",
        )
        st.plotly_chart(
            probing_charts.key_margins(followed.margins[:key_bits]), key="key_margins", config=NO_BAR,
            alt="Distances to the hyperplanes of the bucket's bits: "
            + ", ".join(f"{margin:+.3f}" for margin in followed.margins[:key_bits]),
        )  # fmt: skip
    else:
        st.caption("This category is so small that all its pictures lie in one bucket.")
    csv.csv_button(bits, "code", "code_csv")


def _neighbours(collection: Collection, category: str, followed: Followed, query: Query) -> None:
    """The true neighbours, each with the bucket that it lies in and the probe that finds it."""
    if not len(followed.true_ids):
        return
    st.subheader("Where the true neighbours lie", anchor=False)
    st.caption(
        "The most similar pictures of the category by exact search, with the probe that finds each. A click opens its "
        "bucket."
    )
    probe_of = dict(zip(followed.probes["bucket"].tolist(), followed.probes["order"].tolist(), strict=True))
    rows = pd.DataFrame(
        {
            "rank": range(1, len(followed.true_ids) + 1),
            "id": followed.true_ids,
            "similarity": followed.true_similarities,
            "bucket": followed.true_buckets,
            "probe": [probe_of[int(bucket)] for bucket in followed.true_buckets],
        }
    )
    items = {item.id: item for item in collection.catalogue.items(followed.true_ids.tolist())}
    cells = []
    for row in rows.itertuples():
        if (item := items.get(int(row.id))) is None:
            continue
        link = pictures.address(collection, view=categories.BUCKETS, category=category, bucket=int(row.bucket))
        bits = probing_charts.binary(int(row.bucket), followed.key_bits)
        words = f"Picture {row.id}, similarity {row.similarity:.1%}: bucket {bits}, found by probe {row.probe}"
        cells.append(
            pictures.cell([collection.thumbnail(item, 112)], words, f"{row.similarity:.1%} · probe {row.probe:,}", link)
        )
    pictures.grid(cells, "true", 92)
    csv.csv_button(rows, f"true-neighbours-{query.name.replace(' ', '-')}", "true_csv")
