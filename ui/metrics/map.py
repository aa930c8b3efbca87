"""The collection as a map: alike garments lie close together; what is circled goes to Correct labels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.elements.plotly_chart import PlotlyState

from fashion16.collections.opened import Collection
from fashion16.explore import map
from fashion16.labels import issues as suspicion
from ui.metrics import map_charts
from ui.shared import access, csv, jobs, pictures, selection, text

PCA, TSNE = "PCA", "t-SNE"
LABEL, SUSPICION = "Label", "Suspicion"
# what a map needs is left of plotly's tools
TOOLS = {
    "displaylogo": False,
    "displayModeBar": True,
    "modeBarButtons": [["lasso2d", "select2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
}
WORDS = {
    PCA: "The two directions in which the pictures differ most: at once, but groups overlap.",
    TSNE: "Each picture lies beside those that are most alike; how far groups are from each other means little.",
}


def show(collection: Collection) -> None:
    """The map with its choices, and below it what is circled."""
    with st.container(horizontal=True, key="map_choices"):
        method = st.segmented_control(
            "Map", (PCA, TSNE), default=PCA, required=True, key="method", bind="query-params"
        )  # fmt: skip
        colour = st.segmented_control(
            "Colour", (LABEL, SUSPICION), default=LABEL, required=True, key="colour", bind="query-params"
        )  # fmt: skip
    points = _points(collection, str(method))
    if points is None:
        return
    if points.empty:
        st.info("There is nothing to draw yet: import some pictures.", icon=":material/scatter_plot:")
        return
    scores = _scores(collection)
    if colour == SUSPICION and scores is None:
        _ask(collection, "label-issues", "The labels have not been ranked by suspicion yet.", "Rank by suspicion")
        return
    if scores is not None:
        points = points.merge(scores, on="id", how="left")
    stamp = (collection.name, str(method), str(colour), collection.catalogue.revision(), len(points))
    event = st.plotly_chart(
        _drawn(stamp, points), key=f"map_{method}_{colour}", config=TOOLS, on_select="rerun",
        selection_mode=("points", "box", "lasso"),
        alt=f"Map of {len(points):,} pictures by {method}, coloured by {str(colour).lower()}.",
    )  # fmt: skip
    n = len(collection.searcher.index)
    some = f"{len(points):,} of {n:,} pictures, drawn at random" if len(points) < n else f"All {n:,} pictures"
    tricks = " A click on a label’s name hides or shows it, a double click shows it alone." if colour == LABEL else ""
    st.caption(
        f"{some}. {WORDS[str(method)]} Draw round some points to look at them; "
        f"to click single ones, take the cross of arrows above the map.{tricks}"
    )
    csv.csv_button(points, f"map-{str(method).lower()}", key="csv_map")
    _picked(collection, points, _ids(event), str(method))


def labelled(ids: npt.NDArray[np.int64], places: npt.NDArray[np.floating], collection: Collection) -> pd.DataFrame:
    """Places (n, 2) of items (n,) as a table with today's labels: id, label, x, y. Excluded items are left out."""
    today = collection.catalogue.active()
    frame = pd.DataFrame({"id": ids, "x": places[:, 0], "y": places[:, 1]})
    return frame.merge(pd.DataFrame({"id": today.ids, "label": today.labels}), on="id")[["id", "label", "x", "y"]]


def _points(collection: Collection, method: str) -> pd.DataFrame | None:
    """The points of a map; None where it has to be made first."""
    revision = collection.catalogue.revision()
    root = str(collection.stored.layout.root)
    if method == PCA:
        return _principal(root, collection.name, collection.index_revision, revision, collection)
    path = collection.stored.map_file
    stamp = path.stat().st_mtime_ns if path.exists() else 0
    points = _kept(root, collection.name, stamp, revision, collection) if stamp else None
    if points is None:
        _ask(collection, "map", "This map takes a minute or two to make.", "Make the map")
    return points


def _ask(collection: Collection, command: str, words: str, button: str) -> None:
    """What has to be run first."""
    if jobs.running(collection.name) == command:
        st.info("It is being made; the card above says how far it is.", icon=":material/hourglass:")
        return
    st.info(f"{words} Run this" + (", or press the button:" if access.may_manage() else ":"), icon=":material/map:")
    st.code(f"fashion16 {command} {collection.name}", language="bash")
    if access.may_manage():
        jobs.start_button(collection, button, [command, collection.name], f"start_{command}", ":material/map:")


@st.cache_data(show_spinner="Drawing the map", max_entries=4)
def _principal(root: str, name: str, index_revision: int, revision: int, _collection: Collection) -> pd.DataFrame:
    partitions = _collection.searcher.index.partitions.values()
    ids = map.sample(np.concatenate([np.zeros(0, np.int64), *(part.ids for part in partitions)]))
    if not len(ids):
        return pd.DataFrame(columns=["id", "label", "x", "y"])
    return labelled(ids, map.principal_map(_collection.searcher.index.embeddings(ids)), _collection)


@st.cache_data(show_spinner="Opening the map", max_entries=4)
def _kept(root: str, name: str, stamp: int, revision: int, _collection: Collection) -> pd.DataFrame | None:
    found = map.kept_map(_collection.stored)
    return None if found is None else labelled(found.ids, found.positions, _collection)


# the object itself, no copy: a copy's JSON has another order, and a chart of other JSON forgets what was circled on it
@st.cache_resource(show_spinner=False, max_entries=8)
def _drawn(stamp: tuple[object, ...], _points: pd.DataFrame) -> go.Figure:
    if SUSPICION in stamp:
        return map_charts.by_suspicion(_points)
    return map_charts.by_label(_points, map_charts.largest(_points["label"]))


def _scores(collection: Collection) -> pd.DataFrame | None:
    """How suspicious each label is: id, score; None before they were ranked."""
    path, root = collection.stored.label_issues_file, str(collection.stored.layout.root)
    return _ranking(root, collection.name, path.stat().st_mtime_ns, collection) if path.exists() else None


@st.cache_data(show_spinner="Opening the ranking", max_entries=4)
def _ranking(root: str, name: str, stamp: int, _collection: Collection) -> pd.DataFrame | None:
    issues = suspicion.kept(_collection.stored)
    return None if issues is None else pd.DataFrame({"id": issues.ids, "score": issues.score})


def _ids(event: PlotlyState) -> list[int]:
    """The items that are circled or clicked."""
    points = event["selection"]["points"]
    return [int(point["customdata"][0]) for point in points if point.get("customdata")]


def _picked(collection: Collection, points: pd.DataFrame, ids: list[int], method: str) -> None:
    """What is circled, as pictures, and the way to correct it."""
    chosen = points[points["id"].isin(ids)]
    if chosen.empty:
        return
    if "score" in chosen:
        chosen = chosen.sort_values("score", ascending=False, kind="stable")
    counts = chosen["label"].replace("", map_charts.UNLABELLED).value_counts()
    names = [f"{text.plain(name)} {n:,}" for name, n in counts.head(8).items()]
    more = f" · {len(counts) - 8:,} more labels" if len(counts) > 8 else ""
    with st.container(border=True, key="picked"):
        with st.container(horizontal=True, vertical_alignment="center"):
            words = f"{len(chosen):,} pictures" if len(chosen) > 1 else f"Picture {chosen['id'].iloc[0]}"
            st.markdown(f"**{words}**", width="content")
            selection.send_button(
                collection, f"Circled on the map ({method})" if len(chosen) > 1 else words, chosen["id"], "send_picked"
            )
            csv.csv_button(chosen, "map-selection", key="csv_picked")
        st.caption(" · ".join(names) + more)
        pictures.few(collection, chosen["id"].tolist(), "picked")
