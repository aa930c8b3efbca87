"""Untrusted bytes to pixels, and pixels to what the network sees.

    bytes -> read_photo -> RGB uint8 (h, w, 3), upright, on white -> to_network -> uint8 (side, side, 3)

`read_photo` reads the header first and refuses what is too large before a pixel is decoded. Everything
after it may trust the array. `to_network` letterboxes: it keeps the garment's proportions and fills the
rest with the colour of the picture's own border, so that no edge appears that was not there.
"""

from __future__ import annotations

import base64
import io
import warnings

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from fashion16.errors import DamagedPictureError, ImageError, NotAPictureError, PictureTooLargeError

Pixels = npt.NDArray[np.uint8]

MAX_BYTES = 40 * 2**20
# A 50-megapixel phone fits; as RGBA this takes 256 MB while it is decoded, a quarter of a small host.
MAX_PIXELS = 64_000_000
# The network sees 224 pixels and the page about 700: more would only cost memory.
WORKING_SIDE = 1024
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "MPO", "AVIF")
FORMAT_NAMES = "JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF"


def read_photo(data: bytes) -> Pixels:
    """The picture in `data` as RGB, shape (h, w, 3), uint8, its longer side at most 1,024.

    Upright by its EXIF orientation; transparency on white; 16 bits scaled to 8; CMYK and grey converted;
    of an animation the first frame.

    Raises:
        NotAPictureError, DamagedPictureError, PictureTooLargeError: a sentence for the user in each.
    """
    if not data:
        raise NotAPictureError("This file is empty. Choose another picture.")
    if len(data) > MAX_BYTES:
        raise PictureTooLargeError(len(data) / 2**20, MAX_BYTES / 2**20, "MB")
    try:
        with warnings.catch_warnings():
            # our own limit, checked below, replaces Pillow's warning about large pictures
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(data), formats=FORMATS)
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise PictureTooLargeError(width * height, MAX_PIXELS, "pixels")
            # libjpeg can decode at a half, a quarter or an eighth: a large photo opens several times faster
            picture.draft("RGB", (WORKING_SIDE, WORKING_SIDE))
            picture.load()
            return np.asarray(_upright_rgb(picture))
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise PictureTooLargeError(_pixels_of_bomb(error), MAX_PIXELS, "pixels") from error
    except UnidentifiedImageError as error:
        raise NotAPictureError(f"This file is not a picture we can read. Choose a {FORMAT_NAMES} file.") from error
    # Pillow's decoders raise these on broken files, whatever the format (struct.error is a ValueError's cousin)
    except (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError) as error:
        raise DamagedPictureError("This picture is damaged or cut off. Save or download it again.") from error


def to_network(photo: Pixels, side: int) -> Pixels:
    """`photo`, shape (h, w) or (h, w, 3), letterboxed to shape (side, side, 3)."""
    picture = Image.fromarray(photo)
    if picture.width != picture.height:
        picture = ImageOps.pad(picture, (side, side), Image.Resampling.BICUBIC, color=_border_colour(photo))
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


def to_data_uri(jpeg: bytes) -> str:
    """A JPEG as a URI that carries it."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _upright_rgb(picture: Image.Image) -> Image.Image:
    upright = ImageOps.exif_transpose(picture)
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
    values = np.asarray(picture).astype(np.float32)
    top = 65535.0 if picture.mode != "F" and values.max(initial=0) <= 65535 else float(values.max(initial=1.0))
    if picture.mode == "F" and top <= 1.0:
        top = 1.0
    return Image.fromarray(np.clip(values * (255.0 / max(top, 1e-6)), 0, 255).astype(np.uint8))


def _border_colour(photo: Pixels) -> tuple[int, ...] | int:
    edges = np.concatenate([photo[0], photo[-1], photo[:, 0], photo[:, -1]])
    middle = np.median(edges, axis=0).astype(int)
    return int(middle) if photo.ndim == 2 else tuple(int(channel) for channel in middle)


def _pixels_of_bomb(error: Image.DecompressionBombError) -> int:
    # Pillow refuses far above our limit before we see the size; its message holds the number
    numbers = [int(word.strip("()")) for word in str(error).split() if word.strip("()").isdigit()]
    return max(numbers, default=MAX_PIXELS + 1)
