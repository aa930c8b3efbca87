"""Training views: each time a picture is seen it is turned, cut, lit and dressed otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from fashion16.images import border_colour, saved_as_jpeg
from fashion16.types import Pixels

SMALL = 28  # pixels a side of a photo made to look like Fashion-MNIST


@dataclass(frozen=True)
class Strength:
    """How far views may go from the picture; shares are of the side, chances are in [0, 1].

    Attributes:
        scale: enlarged by a factor between these two.
        dress: chance that a grey picture is inverted or coloured, garment and ground.
    """

    scale: tuple[float, float]
    rotation: float  # degrees to either side
    shift: float
    light: float
    colour: float
    jpeg: float
    erase: float
    dress: float = 0.0


# Fashion-MNIST is centred and cut to the garment; photos are not, and show it larger or smaller
SMALL_PICTURES = Strength((0.9, 1.2), 8.0, 0.07, 0.2, 0.0, 0.1, 0.25, dress=0.25)
PHOTOS = Strength((0.95, 1.5), 12.0, 0.1, 0.3, 0.3, 0.2, 0.25)


def view(picture: Pixels, side: int, strength: Strength, rng: np.random.Generator) -> Pixels:
    """One view of `picture`, (h, h) or (h, h, 3), as pixels of shape (side, side, 3)."""
    sheet = _warp(picture, side, strength, rng)
    grey = picture.ndim == 2
    if grey and rng.random() < strength.dress:
        sheet = _dress(sheet, rng)
    sheet = sheet.convert("RGB")
    for enhancer, reach in (
        (ImageEnhance.Brightness, strength.light),
        (ImageEnhance.Contrast, strength.light),
        (ImageEnhance.Color, 0.0 if grey else strength.colour),
    ):
        if reach:
            sheet = enhancer(sheet).enhance(rng.uniform(1 - reach, 1 + reach))
    if rng.random() < strength.jpeg:
        sheet = saved_as_jpeg(sheet, int(rng.integers(30, 90)))
    pixels = np.array(sheet)
    if rng.random() < strength.erase:
        _erase(pixels, rng)
    return pixels


def like_fashion_mnist(photo: Pixels, rng: np.random.Generator) -> Pixels:
    """A photo (h, h, 3) as few pixels as Fashion-MNIST has, mostly grey and light on dark: (28, 28) or (28, 28, 3)."""
    sheet = Image.fromarray(photo).resize((SMALL, SMALL), Image.Resampling.BICUBIC)
    if rng.random() < 0.75:
        sheet = sheet.convert("L")
        # on a light ground the negative is what looks like Fashion-MNIST
        if np.median(border_colour(np.asarray(sheet))) > 127:
            sheet = ImageOps.invert(sheet)
    return np.asarray(sheet)


def _warp(picture: Pixels, side: int, strength: Strength, rng: np.random.Generator) -> Image.Image:
    """Flipped, turned, scaled and shifted in one resampling."""
    angle = np.deg2rad(rng.uniform(-strength.rotation, strength.rotation))
    pixels_per_output = len(picture) / side / rng.uniform(*strength.scale)
    flip = rng.choice((-1.0, 1.0))
    shift = rng.uniform(-strength.shift, strength.shift, 2) * len(picture)
    # from a point of the view to the point of the picture that it shows, both from their middles
    matrix = pixels_per_output * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix[:, 0] *= flip
    offset = len(picture) / 2 + shift - matrix @ np.array([side / 2, side / 2])
    ground = border_colour(picture)
    return Image.fromarray(picture).transform(
        (side, side),
        Image.Transform.AFFINE,
        (*matrix[0], offset[0], *matrix[1], offset[1]),
        Image.Resampling.BICUBIC,
        fillcolor=ground,
    )


def _dress(sheet: Image.Image, rng: np.random.Generator) -> Image.Image:
    """The same garment the other way round, or in a colour on a coloured ground."""
    if rng.random() < 0.4:
        return ImageOps.invert(sheet)
    ground, garment = rng.integers(0, 256, (2, 3))
    return ImageOps.colorize(sheet, tuple(ground.tolist()), tuple(garment.tolist()))


def _erase(pixels: Pixels, rng: np.random.Generator) -> None:
    """Zhong et al., "Random erasing data augmentation", AAAI 2020: a box of 2 to 20 % of the area in one colour."""
    side = len(pixels)
    area, ratio = rng.uniform(0.02, 0.2), np.exp(rng.uniform(np.log(0.3), np.log(3.3)))
    height = min(side, max(1, int(side * (area * ratio) ** 0.5)))
    width = min(side, max(1, int(side * (area / ratio) ** 0.5)))
    top, left = rng.integers(side - height + 1), rng.integers(side - width + 1)
    pixels[top : top + height, left : left + width] = rng.integers(0, 256, 3)
