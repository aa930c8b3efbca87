"""Untrusted bytes to pixels, and pixels to what the network sees.

    bytes -> read_photo -> RGB uint8 (h, w, 3), upright, on white -> to_network -> uint8 (side, side, 3)

`read_photo` reads the header first and refuses what is too large before a pixel is decoded. Everything
after it may trust the array. `to_network` letterboxes: it keeps the garment's proportions and fills the
rest with the colour of the picture's own border, so that no edge appears that was not there.
"""

from __future__ import annotations

import base64
import io
import struct
import threading
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image, ImageEnhance, ImageOps, UnidentifiedImageError

from fashion16.errors import DamagedPictureError, ImageError, NotAPictureError, PictureTooLargeError
from fashion16.types import Pixels

# Pillow's own limit only warns, at its own number; `read_photo` checks the header against ours instead
Image.MAX_IMAGE_PIXELS = None

MAX_BYTES = 40 * 2**20
# A 50-megapixel phone fits; as RGBA this takes 256 MB while it is decoded, a quarter of a small host.
MAX_PIXELS = 64_000_000
# Above this, decoding takes up to a quarter of a gigabyte: two at once would be too much for a small host.
LARGE = 16_000_000
_one_at_a_time = threading.Lock()
# The network sees 224 pixels and the page about 700: more would only cost memory.
WORKING_SIDE = 1024
LOSSLESS_SIDE = 64
THUMBNAIL_QUALITY = 92
# MPO, the format of some phones and 3-D cameras, is read as JPEG and has no reader of its own
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
FORMAT_NAMES = "JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF"
# EXIF's orientations but the first, which is upright
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
SIDEWAYS = frozenset({5, 6, 7, 8})  # those that exchange width and height


@dataclass(frozen=True)
class DecodedPicture:
    """A picture's pixels, RGB (h, w, 3), and what its file says of itself.

    Attributes:
        format: one of FORMATS, or MPO.
        width, height: of the file's picture, upright, before anything was made smaller.
    """

    pixels: Pixels
    format: str
    width: int
    height: int


def read_photo(data: bytes) -> Pixels:
    """The pixels that `read_picture` finds; raises what it raises."""
    return read_picture(data).pixels


def read_picture(data: bytes) -> DecodedPicture:
    """The picture in `data`, its pixels RGB, shape (h, w, 3), uint8, the longer side at most 1,024.

    Upright by its EXIF orientation; transparency on white; 16 bits scaled to 8; CMYK and grey converted;
    of an animation the first frame. Of large pictures one at a time is decoded, whatever the threads.

    Raises:
        NotAPictureError, DamagedPictureError, PictureTooLargeError: a sentence for the user in each.
    """
    if not data:
        raise NotAPictureError("This file is empty. Choose another picture.")
    check_size(len(data))
    try:
        picture = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = picture.size
        if width * height > MAX_PIXELS:
            raise PictureTooLargeError(width * height, MAX_PIXELS, "pixels")
        # libjpeg can decode at a half, a quarter or an eighth: a large photo opens several times faster
        picture.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
        with _one_at_a_time if width * height > LARGE else nullcontext():
            picture.load()
            turned = picture.getexif().get(ExifTags.Base.Orientation, 1) in SIDEWAYS
            size = (height, width) if turned else (width, height)
            return DecodedPicture(np.asarray(_upright_rgb(picture)), str(picture.format), *size)
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise NotAPictureError(f"This file is not a picture we can read. Choose a {FORMAT_NAMES} file.") from error
    # Pillow's decoders raise these on broken files, whatever the format
    except (
        OSError,
        EOFError,
        SyntaxError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        RuntimeError,
        struct.error,
    ) as error:
        raise DamagedPictureError("This picture is damaged or cut off. Save or download it again.") from error


def check_size(n_bytes: int) -> None:
    """Refuse a file of `n_bytes` before it is read into memory.

    Raises:
        PictureTooLargeError: it is larger than any picture needs to be.
    """
    if n_bytes > MAX_BYTES:
        raise PictureTooLargeError(n_bytes / 2**20, MAX_BYTES / 2**20, "MB")


def to_network(photo: Pixels, side: int) -> Pixels:
    """`photo`, shape (h, w) or (h, w, 3), letterboxed to shape (side, side, 3)."""
    picture = Image.fromarray(photo)
    if picture.width != picture.height:
        picture = ImageOps.pad(picture, (side, side), Image.Resampling.BICUBIC, color=border_colour(photo))
    else:
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    return np.asarray(picture.convert("RGB"))


def crop(photo: Pixels, box: tuple[float, float, float, float]) -> Pixels:
    """The part of `photo` inside `box` = (left, top, right, bottom), each a share of the side in [0, 1].

    Raises:
        ImageError: the box has no area inside the picture.
    """
    height, width = photo.shape[:2]
    left, top, right, bottom = np.clip(box, 0.0, 1.0)
    x0, x1 = int(np.floor(left * width)), int(np.ceil(right * width))
    y0, y1 = int(np.floor(top * height)), int(np.ceil(bottom * height))
    if x1 - x0 < 2 or y1 - y0 < 2:
        raise ImageError("The box on the photo is too small. Draw it around the garment.")
    return photo[y0:y1, x0:x1]


def encode_jpeg(photo: Pixels, side: int) -> bytes:
    """`photo` as a JPEG whose longer side is `side`; small pictures are enlarged smoothly."""
    picture = Image.fromarray(photo)
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    out = io.BytesIO()
    picture.resize(size, Image.Resampling.BICUBIC).save(out, "JPEG", quality=88)
    return out.getvalue()


def encode_thumbnail(photo: Pixels, side: int) -> bytes:
    """`photo` no larger than `side`: as a JPEG, or without loss as a PNG where it has at most 64 pixels a side.

    A small picture's every pixel is seen by the network, and as a PNG it takes no more space.
    """
    picture = Image.fromarray(photo)
    lossless = max(picture.size) <= LOSSLESS_SIDE
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    out = io.BytesIO()
    if lossless:
        picture.save(out, "PNG", compress_level=1)
    else:
        picture.save(out, "JPEG", quality=THUMBNAIL_QUALITY)
    return out.getvalue()


def decode_thumbnail(data: bytes) -> Pixels:
    """What `encode_thumbnail` made, RGB, shape (h, w, 3).

    Raises:
        DamagedPictureError: it is no such picture.
    """
    try:
        return np.asarray(Image.open(io.BytesIO(data), formats=("JPEG", "PNG")).convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise DamagedPictureError("A stored thumbnail is damaged. Import the collection again.") from error


def to_data_uri(jpeg: bytes) -> str:
    """A JPEG as a URI that carries it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _upright_rgb(picture: Image.Image) -> Image.Image:
    # not ImageOps.exif_transpose: it also rewrites the EXIF data, and fails where they are odd
    turn = TURNS.get(picture.getexif().get(ExifTags.Base.Orientation, 1))
    upright = picture if turn is None else picture.transpose(turn)
    if upright.mode.startswith("I") or upright.mode == "F":
        upright = _to_eight_bits(upright)
    if upright.has_transparency_data:
        upright = upright.convert("RGBA")
        # shrink before compositing: the white sheet below is as large as the picture
        upright.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.BOX)
        ground = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(ground, upright)
    rgb = upright.convert("RGB")
    rgb.thumbnail((WORKING_SIDE, WORKING_SIDE), Image.Resampling.LANCZOS)
    return rgb


def _to_eight_bits(picture: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float grey to 8 bits; Pillow's own conversion would clip everything above 255."""
    # a float picture may hold anything; in place, because a large one takes 256 MB
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.array(picture, np.float32)
        np.nan_to_num(values, copy=False, posinf=0.0, neginf=0.0)
        values *= 255.0 / float(values.max(initial=1.0 if picture.mode == "F" else 65535.0))
    np.rint(values, out=values)
    return Image.fromarray(np.clip(values, 0, 255, out=values).astype(np.uint8))


def border_colour(photo: Pixels) -> tuple[int, ...] | int:
    """The median of the outermost pixels of `photo`, (h, w) or (h, w, 3): what its ground most likely is."""
    edges = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]])
    middle = np.median(edges, axis=0).astype(int)
    return int(middle) if photo.ndim == 2 else tuple(int(channel) for channel in middle)


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
