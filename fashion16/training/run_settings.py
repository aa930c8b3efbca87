"""What training runs are started with. Light to import: the command line shows these defaults in its help."""

from __future__ import annotations

from dataclasses import dataclass

# the kinds of runs
CATEGORY_CNN, ENCODER = "category-cnn", "encoder"


@dataclass(frozen=True)
class CategorySettings:
    """What a run is started with; the defaults are the recommended run.

    Attributes:
        epochs: the paper's.
        decay: the learning rate falls to nothing along half a cosine; without, the last epochs only jitter.
        bfloat16: compute in 16 bits where the processor has them, about twice as fast.
    """

    epochs: int = 20
    batch: int = 128
    learning_rate: float = 1e-3
    decay: bool = True
    seed: int = 16
    bfloat16: bool = True


@dataclass(frozen=True)
class EncoderSettings:
    """What a run is started with; the defaults are the recommended run.

    Attributes:
        photo_passes: times that every photo is seen in an epoch, while every small picture is seen once.
        frozen_blocks: VGG-16's first blocks that keep ImageNet's weights: edges and colours need no training.
        small_side: pixels a side of small pictures; photo_side the same for photos.
        learning_rate: the peak, after a warm-up and before a fall along half a cosine. Higher ones diverge.
        further: begin with the weights trained so far instead of ImageNet's.
        patience: epochs without a better validation accuracy after which the run stops.
    """

    epochs: int = 7
    photo_passes: int = 2
    frozen_blocks: int = 2
    small_side: int = 64
    photo_side: int = 160
    small_batch: int = 128
    photo_batch: int = 32
    learning_rate: float = 5e-5
    warm_up: float = 0.05
    weight_decay: float = 0.05
    further: bool = False
    patience: int = 3
    seed: int = 16
    bfloat16: bool = True
