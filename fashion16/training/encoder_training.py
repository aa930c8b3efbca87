"""Training Fashion-16: VGG-16 and a softmax over the classes of two kinds of pictures, in one network."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fashion16.errors import TrainingError
from fashion16.images import read_photo, to_network
from fashion16.search import garments
from fashion16.sources.clothing import ClothingArchive
from fashion16.training.checkpoints import best_weights, epochs_done
from fashion16.training.data import LabelledPictures
from fashion16.training.fitting import Report, computing_in, dtype_policy, fit, git_commit, import_keras, require_memory
from fashion16.training.run_settings import ENCODER, EncoderSettings
from fashion16.training.runs import Run
from fashion16.types import Floats, Progress

if TYPE_CHECKING:
    from fashion16.training.batches import Kind

KEPT_SIDE = 192  # photos wait for their turn at this side: more than views need, and a quarter of the memory
FEWEST = 10  # pictures of a label below which there is nothing to learn
LIBRARIES_AND_OPTIMIZER = 1_200_000_000
BYTES_PER_PIXEL = 1_500  # of a batch: what VGG-16's layers keep of it for their gradients
HEAD_SAMPLE = 6_000  # small pictures that the softmax is started on


def read_photos(archive: ClothingArchive, side: int = KEPT_SIDE, progress: Progress | None = None) -> LabelledPictures:
    """The labelled photos of train and validation, letterboxed to `side`; the test split stays closed."""
    photos = [photo for photo in archive.photos if photo.label and photo.split in ("train", "validation")]
    pictures = np.empty((len(photos), side, side, 3), np.uint8)
    for row, photo in enumerate(photos):
        pictures[row] = to_network(read_photo(archive.read(photo)), side)
        if progress:
            progress(row + 1, len(photos))
    return LabelledPictures(
        pictures, np.array([photo.label for photo in photos]), np.array([photo.split for photo in photos])
    )


def train_encoder(
    small: LabelledPictures,
    photos: LabelledPictures,
    runs: Path,
    destination: Path,
    imagenet: Path | None = None,
    settings: EncoderSettings | None = None,
    fresh: bool = False,
    report: Report | None = None,
) -> Run:
    """Fine-tune VGG-16 on the training splits; the epoch best on the validation splits is kept.

    Its weights are written to `destination`, as float16: convolutions and softmax, no embedding yet.
    A run that was killed goes on after its last whole epoch when the same call is made again.

    Raises:
        TrainingError: TensorFlow is not installed, memory is short, or a label has too few pictures.
        EncoderError: the weights to begin with cannot be had.
        BusyError: another process trains the run that would go on.
        WorkspaceError: the folder of the runs may not be written.
    """
    keras = import_keras()
    from fashion16.training import vgg16
    from fashion16.training.batches import Kind, PlainBatches, TrainingBatches

    settings = settings or EncoderSettings()
    _check(small, photos)
    require_memory(_memory_needed(settings))
    commit = git_commit()
    classes = garments.all_classes([*small.labels, *photos.labels])

    def kind(pictures: LabelledPictures, split: str, side: int, batch: int) -> Kind:
        part = pictures.of(pictures.splits == split)
        return Kind(part.pictures, garments.targets(part.labels, classes), side, batch)

    parts = {
        (name, split): kind(pictures, split, side, batch)
        for name, pictures, side, batch in (
            ("small", small, settings.small_side, settings.small_batch),
            ("photos", photos, settings.photo_side, settings.photo_batch),
        )
        for split in ("train", "validation")
    }
    started_with = asdict(settings) | {"classes": list(classes), "label_revision": small.revision}
    run = Run.begin(runs, ENCODER, started_with, fresh)
    with run.held():
        keras.utils.set_random_seed(settings.seed)
        train = TrainingBatches(
            parts["small", "train"], parts["photos", "train"], settings.photo_passes, settings.seed, epochs_done(run)
        )
        network, model = _networks(settings, len(classes), len(train))

        def validate() -> dict[str, float]:
            """Both kinds count the same, however many pictures each has."""
            figures: dict[str, float] = {}
            for name in ("small", "photos"):
                measured = model.evaluate(PlainBatches(parts[name, "validation"]), verbose=0, return_dict=True)
                figures |= {f"val_{name}_{key}": float(value) for key, value in measured.items()}
            for key in ("loss", "accuracy"):
                figures[f"val_{key}"] = (figures[f"val_small_{key}"] + figures[f"val_photos_{key}"]) / 2
            return figures

        begun_with = None
        if settings.further:
            vgg16.read_weights(model, destination)
            begun_with = validate()["val_accuracy"]  # what comes out has to be better
        elif not epochs_done(run):
            vgg16.load_imagenet(network, imagenet)
            _start_softmax(network, model, [parts["small", "train"], parts["photos", "train"]], settings.seed)
        seconds = fit(
            model,
            run,
            settings.epochs,
            len(train),
            {"x": train, "shuffle": False},
            report,
            validate,
            settings.patience,
            begun_with,
        )
        accuracies = run.history()["val_accuracy"]
        best_epoch = int(accuracies.idxmax()) + 1  # 0: none was better than what the run began with
        if begun_with is not None and begun_with >= accuracies.max():
            best_epoch = 0
            vgg16.read_weights(model, destination)
        else:
            model.load_weights(best_weights(run))
            vgg16.write_weights(model, destination)
        figures = validate()
        run.finish(
            {
                "best_epoch": best_epoch,
                "validation_accuracy_small": round(figures["val_small_accuracy"], 4),
                "validation_accuracy_photos": round(figures["val_photos_accuracy"], 4),
                "pictures": {f"{name}, {split}": len(part.pictures) for (name, split), part in parts.items()},
                "seconds": round(seconds, 1),
                "dtype": dtype_policy(settings.bfloat16),
                "git_commit": commit,
            }
        )
    return run


def _networks(settings: EncoderSettings, n_classes: int, steps: int) -> tuple[Any, Any]:
    """VGG-16, and the compiled classifier on top of it."""
    import keras

    from fashion16.training import vgg16

    with computing_in(dtype_policy(settings.bfloat16)):
        network = vgg16.build()
        model = vgg16.classifier(network, n_classes)
    for layer in network.layers:
        if layer.name.startswith(tuple(f"block{n + 1}_conv" for n in range(settings.frozen_blocks))):
            layer.trainable = False
    total = settings.epochs * steps
    warm_up = math.ceil(settings.warm_up * total)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, total - warm_up, warmup_target=settings.learning_rate, warmup_steps=warm_up
    )
    # without normalisation layers one bad batch can throw VGG-16 far off: gradients are kept short
    optimizer = keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, global_clipnorm=1.0)
    model.compile(optimizer, vgg16.OneOfThese(), metrics=[vgg16.accuracy])
    return network, model


def _start_softmax(network: Any, model: Any, kinds: Iterable[Kind], seed: int) -> None:
    """Fit the softmax alone, on the features as they are: random weights would spoil them in the first steps."""
    import keras

    from fashion16.training import vgg16
    from fashion16.training.batches import Kind, PlainBatches

    pooled = vgg16.pooled_part(network)
    features: list[Floats] = []
    targets: list[Floats] = []
    for kind in kinds:
        few = np.random.default_rng(seed).permutation(len(kind.pictures))[:HEAD_SAMPLE]
        sample = Kind(kind.pictures[few], kind.targets[few], kind.side, kind.batch)
        features.append(pooled.predict(PlainBatches(sample), verbose=0))
        targets.append(sample.targets)
    inputs = keras.Input(features[0].shape[1:])
    softmax = keras.Model(inputs, model.get_layer(vgg16.CLASSES)(model.get_layer("scaled")(inputs)))
    softmax.compile(keras.optimizers.Adam(1e-3), vgg16.OneOfThese())
    softmax.fit(np.concatenate(features), np.concatenate(targets), batch_size=256, epochs=20, verbose=0)


def _memory_needed(settings: EncoderSettings) -> int:
    """Bytes beside the pictures, which are in memory already; measured: 2.9 GB at the peak of the recommended run."""
    pixels = max(settings.small_batch * settings.small_side**2, settings.photo_batch * settings.photo_side**2)
    return LIBRARIES_AND_OPTIMIZER + BYTES_PER_PIXEL * pixels


def _check(small: LabelledPictures, photos: LabelledPictures) -> None:
    """Whether there is enough to learn from."""
    for what, pictures in (("small pictures", small), ("photos", photos)):
        for split in ("train", "validation"):
            if not (pictures.splits == split).any():
                raise TrainingError(f"There are no {what} in the {split} split to train with. Import them again.")
        names, counts = np.unique(pictures.labels[pictures.splits == "train"], return_counts=True)
        if (counts < FEWEST).any():
            few = ", ".join(f"“{name}” ({count})" for name, count in zip(names, counts, strict=True) if count < FEWEST)
            raise TrainingError(
                f"Too few of the {what} to train with have these labels: {few}. Each needs at least {FEWEST}: "
                "add pictures, or give them another label."
            )
