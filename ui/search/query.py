"""Where a query comes from: an upload, the camera, or a picture of the collection."""

from __future__ import annotations

from dataclasses import dataclass

import streamlit as st

from fashion16.collections.opened import Collection
from fashion16.images import MAX_BYTES, check_size, crop, read_photo
from fashion16.types import Pixels
from ui.search import charts, scope
from ui.shared import text
from ui.shared.upload import WIDGET_MB

# the options as they stand in the URL, too
UPLOAD, CAMERA, COLLECTION = "Upload", "Camera", "Collection"


@dataclass(frozen=True)
class Query:
    """A picture to search with; `item_id` when it is one of the collection."""

    photo: Pixels
    item_id: int | None


def query(collection: Collection) -> Query | None:
    """Let the person choose a picture; None while there is none."""
    if "id" in st.query_params and "source" not in st.query_params and "source" not in st.session_state:
        st.session_state.source = COLLECTION  # a short link names only the picture
    source = st.segmented_control(
        "Search with",
        (UPLOAD, CAMERA, COLLECTION),
        default=UPLOAD,
        required=True,
        key="source",
        bind="query-params",
        label_visibility="collapsed",
        width="stretch",
    )
    item_id = _picture_number(collection, shown=source == COLLECTION)
    if source == COLLECTION:
        return None if item_id is None else _from_collection(collection, item_id)
    data = _bytes_of(source)
    if data is None:
        return None
    return Query(_cropped(read_photo(data), source), None)


def search_with(item_id: int) -> None:
    """Make a picture of the collection the query (a callback)."""
    st.session_state.source = COLLECTION
    st.session_state.id = item_id
    st.session_state.scope = scope.PREDICTED


def _bytes_of(source: str) -> bytes | None:
    """The upload or the shot; it is kept while the person looks at something else."""
    key, kept = f"file_{source}", f"kept_{source}"
    if source == UPLOAD:
        st.file_uploader(
            f"A photo of one garment, up to {MAX_BYTES // 2**20} MB",
            type="image",
            key=key,
            on_change=_keep,
            args=(key, kept),
            max_upload_size=WIDGET_MB,
        )
    else:
        st.camera_input(
            "Hold one garment into the light", resolution="720p", key=key, on_change=_keep, args=(key, kept)
        )
    if (file := st.session_state[key]) is not None:
        check_size(file.size)
    return st.session_state.get(kept)


def _keep(key: str, kept: str) -> None:
    file = st.session_state[key]
    if file is None or file.size > MAX_BYTES:
        st.session_state.pop(kept, None)
    else:
        st.session_state[kept] = file.getvalue()
    _forget_box()


def _picture_number(collection: Collection, shown: bool) -> int | None:
    """The number of a picture of the collection; there even when it is not shown.

    A number that a callback sets on an input that is not on the page yet would not reach the URL.
    """
    if not shown:
        st.html("<style>div:has(> .st-key-picture_number){display:none}</style>")
    with st.container(horizontal=True, vertical_alignment="bottom", wrap=False, key="picture_number"):
        number = st.number_input(
            "Picture number", min_value=0, step=1, value=None, placeholder="e.g. 1234", key="id", bind="query-params"
        )
        st.button("Random", icon=":material/casino:", key="random", on_click=_draw, args=(collection,))
    return None if number is None else int(number)


def _from_collection(collection: Collection, item_id: int) -> Query:
    item = collection.catalogue.item(item_id)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.image(collection.thumbnail(item, 240), width=120, alt=f"Picture {item_id}, labelled {text.label(item)}")
        st.markdown(f"Picture **{item_id}**  \nlabelled **{text.plain(text.label(item))}**", width="content")
    return Query(collection.picture_of(item), item_id)


def _draw(collection: Collection) -> None:
    search_with(collection.random_ids(1)[0])


def _cropped(photo: Pixels, source: str) -> Pixels:
    """The photo, or the part of it inside the box that the person draws."""
    number = st.session_state.setdefault("box_number", 0)
    state = st.plotly_chart(
        charts.photo_with_box(photo),
        key=f"box_{source}_{number}",
        on_select="rerun",
        selection_mode="box",
        config={"displayModeBar": False, "scrollZoom": False, "doubleClick": False},
        alt="Your photo; drag a box around the garment to search with that part alone",
    )
    box = charts.box_of(state["selection"])
    if box is None:
        st.caption(":material/crop: More than the garment on it? Drag a box around the garment.")
        return photo
    st.button("Whole photo", icon=":material/crop_free:", key="whole_photo", on_click=_forget_box)
    return crop(photo, box)


def _forget_box() -> None:
    st.session_state.box_number = st.session_state.get("box_number", 0) + 1  # a new chart has no box
