"""The same garment photographed or saved again: distorted copies with a fixed seed, to measure retrieval with."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image, ImageEnhance

from fashion16.images import Pixels

CROP = (0.75, 0.90)  # share of the area that is kept
ROTATION = 8.0  # degrees to either side
LIGHT = 0.25  # brightness and contrast, up or down
JPEG_QUALITY = 40


def distort(picture: Pixels, rng: np.random.Generator) -> Pixels:
    """`picture`, (h, w) or (h, w, 3), rotated, cropped, lit otherwise and saved as a poor JPEG; about as large.

    Small pictures are enlarged first: JPEG's blocks of 8 pixels would leave nothing of 28.
    """
    photo = Image.fromarray(picture)
    if min(photo.size) < 112:
        photo = photo.resize((photo.width * 4, photo.height * 4), Image.Resampling.BICUBIC)
    ground = int(np.median(picture[0])) if picture.ndim == 2 else tuple(int(c) for c in np.median(picture[0], axis=0))
    photo = photo.rotate(rng.uniform(-ROTATION, ROTATION), Image.Resampling.BICUBIC, fillcolor=ground)
    share = rng.uniform(*CROP) ** 0.5
    width, height = int(photo.width * share), int(photo.height * share)
    left, top = rng.integers(photo.width - width + 1), rng.integers(photo.height - height + 1)
    photo = photo.crop((int(left), int(top), int(left) + width, int(top) + height))
    for enhancer in (ImageEnhance.Brightness, ImageEnhance.Contrast):
        photo = enhancer(photo).enhance(rng.uniform(1 - LIGHT, 1 + LIGHT))
    return np.asarray(saved_as_jpeg(photo, JPEG_QUALITY))


def saved_as_jpeg(photo: Image.Image, quality: int) -> Image.Image:
    """`photo` as it comes back from a JPEG of this quality, in [1, 95]."""
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=quality)
    return Image.open(out)
