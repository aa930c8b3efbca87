"""Where the fixes go: the index file, the head, the data set they came from, and files to take away."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import streamlit as st

from fashion16.catalogue.catalogue import Catalogue
from fashion16.collections.indexing import rewrite_index
from fashion16.collections.opened import Collection
from fashion16.errors import Fashion16Error
from fashion16.labels import correction_import, exports, refitting, write_back
from fashion16.labels.refitting import Measured, Refit
from ui.shared import access, jobs, messages, text

EXPORTS: dict[str, tuple[str, Callable[[Catalogue, Path], int]]] = {
    "Corrections, CSV": ("corrections.csv", exports.corrections_csv),
    "Corrections, JSONL": ("corrections.jsonl", exports.corrections_jsonl),
    "All labels, CSV": ("labels.csv", exports.labels_csv),
    "All labels, Parquet": ("labels.parquet", exports.labels_parquet),
    "Excluded pictures, CSV": ("excluded.csv", exports.excluded_csv),
}


def show(collection: Collection) -> None:
    """Each place that a fix goes to, with what there is to do."""
    jobs.news(collection.name)
    messages.show("data_set")
    left, right = st.columns(2, gap="medium")
    with left:
        _index(collection)
        _head(collection)
        _back(collection)
    with right:
        _labels(collection)
        _take_away(collection)
        _put_in(collection)


def _index(collection: Collection) -> None:
    with st.container(border=True, key="index_card"):
        st.markdown("**Index file**")
        n = collection.n_since_index
        st.caption(f"{n:,} decisions since the index was written. Searches know of them already.")
        st.button(
            "Save the index", key="write_index", disabled=not n, on_click=_do, args=(_write_index, collection),
            icon=":material/save:",
        )  # fmt: skip


def _head(collection: Collection) -> None:
    with st.container(border=True, key="head_card"):
        st.markdown("**Classifier**, which predicts the category")
        candidate = refitting.pending(collection.stored)
        if candidate is None:
            st.caption("Refitted, it learns from the corrected labels; you see how good it is before you use it.")
            st.button("Refit", key="refit", on_click=_do, args=(_refit, collection), icon=":material/model_training:")
            return
        _compare(candidate)
        with st.container(horizontal=True):
            st.button("Use the new one", type="primary", key="swap", on_click=_do, args=(_swap, collection))
            st.button("Discard it", key="discard", on_click=_do, args=(_discard, collection))


def _compare(candidate: Refit) -> None:
    before, after = _percent(candidate.before), _percent(candidate.after)
    st.markdown(f"Right about the validation pictures: **{before}** before, **{after}** now")
    if candidate.changed is not None:
        st.caption(
            f"{candidate.changed:,} are predicted otherwise: {candidate.righted:,} rightly now, "
            f"{candidate.wronged:,} wrongly."
        )
    for words, names in (("It has learnt", candidate.learnt), ("It no longer knows", candidate.forgotten)):
        if names and candidate.before:
            st.caption(f"{words}: {text.plain(', '.join(names))}")
    if candidate.note:
        st.caption(candidate.note)


def _percent(measured: Measured | None) -> str:
    if measured is None or measured.accuracy is None:
        return "unknown"
    half = (measured.accuracy.high - measured.accuracy.low) / 2
    return f"{measured.accuracy.value:.2%} (± {half:.2%})"


def _back(collection: Collection) -> None:
    with st.container(border=True, key="back_card"):
        st.markdown("**Back to the data set**")
        st.caption("Changed labels are written into the table, folder or files that were imported; old files are kept.")
        with st.container(horizontal=True):
            st.button("What would be written?", key="back_try", on_click=_do, args=(_try_back, collection))
            st.button("Write back", key="back", on_click=_do, args=(_write_back, collection), icon=":material/save:")


def _labels(collection: Collection) -> None:
    with st.container(border=True, key="labels_card"):
        st.markdown("**Labels**")
        names = collection.catalogue.label_names()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input("New label", key="label_new", max_chars=200)
            st.button("Add", key="label_add", on_click=_do, args=(_add_label, collection))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.selectbox("Rename or merge", names, index=None, key="label_old")
            st.selectbox("into", names, index=None, key="label_into", accept_new_options=True)
            st.button("Rename", key="label_rename", on_click=_do, args=(_rename_label, collection))
        st.toggle("Test pictures, too", key="label_test")
        st.caption("A label that is there already takes the other one in. The history takes it back in one step.")


def _take_away(collection: Collection) -> None:
    with st.container(border=True, key="export_card"):
        st.markdown("**Take away**")
        what = st.selectbox("What", list(EXPORTS), key="export_what", label_visibility="collapsed")
        file, write = EXPORTS[str(what)]
        # made when it is asked for: the table of a large collection takes seconds
        st.download_button(
            "Download", lambda: _exported(collection, write), file_name=f"{collection.name}-{file}", key="export",
            icon=":material/download:", on_click="ignore",
        )  # fmt: skip


def _exported(collection: Collection, write: Callable[[Catalogue, Path], int]) -> bytes:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "export"
        write(collection.catalogue, path)
        return path.read_bytes()


def _put_in(collection: Collection) -> None:
    with st.container(border=True, key="import_card"):
        st.markdown("**Corrections from elsewhere**")
        st.file_uploader("An export of corrections, CSV or JSONL", type=["csv", "jsonl"], key="corrections_file")
        with st.container(horizontal=True):
            for words, key, dry_run in (
                ("What would change?", "corrections_try", True),
                ("Apply", "corrections", False),
            ):
                st.button(words, key=key, on_click=_do, args=(_import, collection, dry_run))


def _do(action: Callable[..., str], *arguments: object) -> None:
    """Do something and keep what there is to say about it (a callback)."""
    try:
        messages.keep("data_set", action(*arguments), "done")
    except Fashion16Error as error:
        messages.keep("data_set", str(error), "problem")


def _write_index(collection: Collection) -> str:
    return f"The index is saved, at revision {rewrite_index(collection):,}."


def _refit(collection: Collection) -> str:
    jobs.start(collection.stored.job_folder, ["refit", collection.name])
    return "A new classifier is being fitted."


def _swap(collection: Collection) -> str:
    refitting.swap(collection.stored)
    return "The new classifier predicts from now on."


def _discard(collection: Collection) -> str:
    refitting.discard(collection.stored)
    return "The present classifier stays."


def _try_back(collection: Collection) -> str:
    return "\n".join(write_back.words(one, True) for one in write_back.write_back(collection.stored, dry_run=True))


def _write_back(collection: Collection) -> str:
    return "\n".join(write_back.words(one, False) for one in write_back.write_back(collection.stored))


def _add_label(collection: Collection) -> str:
    name = collection.catalogue.add_label(st.session_state.label_new, access.name())
    st.session_state.label_new = ""
    return f"“{name}” can be chosen now."


def _rename_label(collection: Collection) -> str:
    old, new = st.session_state.label_old, st.session_state.label_into
    if not old or not new:
        return "Choose a label, and its new name."
    done = collection.rename_label(old, new, access.name(), include_test=st.session_state.label_test)
    kept = f" {done.left_alone:,} test pictures keep theirs." if done.left_alone else ""
    return f"{len(done.corrections):,} pictures labelled “{old}” are labelled “{new}” now.{kept}"


def _import(collection: Collection, dry_run: bool) -> str:
    file = st.session_state.corrections_file
    if file is None:
        return "Choose a file of corrections."
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / ("corrections" + Path(file.name).suffix.lower())
        path.write_bytes(file.getvalue())
        report = correction_import.import_corrections(collection.stored, path, access.name(), dry_run=dry_run)
    collection.refresh()
    return "\n".join(report.lines())
