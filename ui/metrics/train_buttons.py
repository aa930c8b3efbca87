"""Buttons that begin what takes minutes, as a process of its own: measuring a collection, training a network."""

from __future__ import annotations

from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

import streamlit as st

from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.opened import Collection
from fashion16.training import run_settings
from fashion16.training.run_settings import CategorySettings, EncoderSettings
from fashion16.training.runs import Run
from ui.shared import access, messages
from ui.shared.jobs import begin, running, start_button

CNN, ENCODER = "Category network", "Encoder"
NEEDED = ("tensorflow", "keras")
NO_WAY_ON = {
    run_settings.CATEGORY_CNN: "It was begun with other settings or labels than the command has now.",
    run_settings.ENCODER: "Name the photos’ archive first: Train now, Encoder.",
}


def offer(collection: Collection) -> None:
    """The buttons, for those who may press them."""
    if access.may_manage():
        with st.container(horizontal=True, key="commands", width="content"):
            start_button(collection, "Evaluate now", ["evaluate", collection.name], "evaluate", ":material/speed:")
            _train(collection)


def can_train() -> bool:
    """Whether what training needs is installed."""
    return all(find_spec(package) is not None for package in NEEDED)


def go_on(run: Run, collection: Collection) -> list[str] | None:
    """The command that goes on with an interrupted run; None where a command begins another one instead.

    That is so when the collection is not the one it was begun with, or has other labels by now.
    """
    settings = run.settings
    if not isinstance(epochs := settings.get("epochs"), int) or not isinstance(seed := settings.get("seed"), int):
        return None
    if settings.get("label_revision") != collection.catalogue.revision():
        return None
    if run.kind == run_settings.CATEGORY_CNN:
        same = asdict(CategorySettings(epochs=epochs, seed=seed)).items() <= settings.items()
        labels = sorted(collection.catalogue.label_counts())
        if same and settings.get("categories") == labels:
            return ["train", run_settings.CATEGORY_CNN, collection.name, "--epochs", str(epochs), "--seed", str(seed)]
    elif run.kind == run_settings.ENCODER and collection.name == DEFAULT_COLLECTION and (photos := _photos()):
        chosen = {key: settings.get(key) for key in ("photo_passes", "learning_rate", "further")}
        chosen = {key: value for key, value in chosen.items() if value is not None}
        if asdict(EncoderSettings(epochs=epochs, seed=seed, **chosen)).items() <= settings.items():
            given = ["--epochs", str(epochs), "--seed", str(seed)]
            for key, value in chosen.items():
                option = f"--{key.replace('_', '-')}"
                given += [option, str(value)] if not isinstance(value, bool) else [option] if value else []
            return ["train", "encoder", *photos, *given]
    return None


def _train(collection: Collection) -> None:
    """The button, and what there is to choose before."""
    busy = running(collection.name) is not None
    # it keeps its state, so that a start can close it
    with st.popover("Train now", icon=":material/model_training:", disabled=busy, key="train_now", on_change="rerun"):
        if not can_train():
            st.markdown("Training needs TensorFlow, which is not installed here. Install it, and open this page again:")
            st.code("pip install -r requirements-train.txt", language="bash")
            return
        kinds = [CNN] if collection.stored.pictures_file.is_file() else []
        if collection.name == DEFAULT_COLLECTION:
            kinds.append(ENCODER)  # it learns from photos and from Fashion-MNIST, whatever else there is
        if not kinds:
            st.markdown(
                f"Networks are trained with pictures of one size, such as those of `{DEFAULT_COLLECTION}`: choose it "
                "in the sidebar. This collection's classifier learns from its labels at once: see **Correct labels**, "
                "Data set."
            )
            return
        kind = st.segmented_control(
            "Network", kinds, default=kinds[0], required=True, key="train_kind", label_visibility="collapsed"
        )
        _choose_encoder() if kind == ENCODER else _choose_cnn()
        st.button(
            "Start", type="primary", icon=":material/play_arrow:", key="train", on_click=_begin, args=(collection.name,)
        )
        messages.show("train")


def _choose_cnn() -> None:
    st.caption("The paper’s small network, which tells categories. About a quarter of a minute an epoch on two cores.")
    st.number_input("Epochs", 1, 1_000, CategorySettings.epochs, key="train_epochs")
    st.number_input("Seed", 0, 2**31 - 1, CategorySettings.seed, key="train_seed")


def _choose_encoder() -> None:
    st.caption("Fashion‑16’s VGG‑16, which is then exported and indexed with. About 80 minutes on two cores.")
    for words, key, example in (
        ("The photos’ archive", "train_photos", "/home/me/clothing-dataset-master.zip"),
        ("Table of its ten-class subset", "train_split", "clothing-small-split.csv"),
    ):
        st.text_input(words, key=key, placeholder=example, persist_state="session")
    st.number_input("Epochs", 1, 1_000, EncoderSettings.epochs, key="train_encoder_epochs")


def _begin(name: str) -> None:
    """Start the training that the person chose (a callback)."""
    chosen = st.session_state
    if chosen.get("train_kind") != ENCODER:
        given = ["--epochs", str(chosen.train_epochs), "--seed", str(chosen.train_seed)]
        begin(name, ["train", "category-cnn", name, *given])
        chosen.train_now = False
        return
    for key, needed in (("train_photos", True), ("train_split", False)):
        path = Path(str(chosen.get(key, "")).strip()).expanduser()
        if (needed or path != Path()) and not path.is_file():
            missing = f"There is no file at {path}."
            wanted = "Name the ZIP file of the public clothing dataset."
            messages.keep("train", wanted if path == Path() else missing, "problem")
            return
    begin(name, ["train", "encoder", *_photos(), "--epochs", str(chosen.train_encoder_epochs)])
    chosen.train_now = False


def _photos() -> list[str]:
    """The options that name the photos, as far as the person did."""
    named = {"--photos": "train_photos", "--split": "train_split"}
    paths = {option: str(st.session_state.get(key, "")).strip() for option, key in named.items()}
    if not paths["--photos"]:
        return []
    return [part for option, path in paths.items() if path for part in (option, str(Path(path).expanduser()))]
