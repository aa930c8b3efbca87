"""Untrusted bytes become a picture or an ImageError; pictures become what the network sees."""

from __future__ import annotations

import base64
import io
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from fashion16.errors import DamagedPictureError, ImageError, NotAPictureError, PictureTooLargeError
from fashion16.images import MAX_BYTES, crop, encode_jpeg, read_photo, to_data_uri, to_network
from fashion16.types import Pixels

RED, GREEN, BLUE, YELLOW, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 255, 255)
# each begins as its format does, far enough that Pillow's reader takes it on
MAGIC = (
    b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00",
    b"\xff\xd8\xff\xe1\x00\x40Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08",
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x10\x00\x00\x00\x10\x08\x02\x00\x00\x00\x90\x91h6",
    b"GIF89a\x10\x00\x10\x00\x80\x00\x00",
    b"RIFF\x80\x00\x00\x00WEBPVP8 ",
    b"RIFF\x80\x00\x00\x00WEBPVP8X",
    b"BM\x80\x00\x00\x00\x00\x00\x00\x006\x00\x00\x00(\x00\x00\x00",
    b"II*\x00\x08\x00\x00\x00",
    b"MM\x00*\x00\x00\x00\x08",
    b"P6\n16 16\n255\n",
    b"Pf\n4 4\n-1.0\n",
    b"\x00\x00\x00\x1cftypavif\x00\x00\x00\x00avifmif1miaf",
)
GOLDEN: npt.NDArray[np.uint8] = np.array(
    [
        [[100, 90, 0], [100, 90, 0], [100, 90, 0], [100, 90, 0], [100, 90, 0], [100, 90, 0]],
        [[0, 0, 0], [40, 0, 0], [80, 0, 0], [120, 0, 0], [160, 0, 0], [200, 0, 0]],
        [[0, 60, 0], [40, 60, 17], [80, 60, 34], [120, 60, 51], [160, 60, 68], [200, 60, 85]],
        [[0, 120, 0], [40, 120, 34], [80, 120, 68], [120, 120, 102], [160, 120, 136], [200, 120, 170]],
        [[0, 180, 0], [40, 180, 51], [80, 180, 102], [120, 180, 153], [160, 180, 204], [200, 180, 255]],
        [[100, 90, 0], [100, 90, 0], [100, 90, 0], [100, 90, 0], [100, 90, 0], [100, 90, 0]],
    ],
    np.uint8,
)


def saved(picture: Image.Image, form: str, **options: Any) -> bytes:
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def plain(colour: tuple[int, ...], size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new("RGB" if len(colour) == 3 else "RGBA", size, colour)


def quarters(side: int = 64) -> Image.Image:
    """Red and green above, blue and yellow below; wider than high by half."""
    pixels = np.zeros((side, side * 3 // 2, 3), np.uint8)
    half, middle = side // 2, side * 3 // 4
    pixels[:half, :middle], pixels[:half, middle:] = RED, GREEN
    pixels[half:, :middle], pixels[half:, middle:] = BLUE, YELLOW
    return Image.fromarray(pixels)


def corners(photo: Pixels) -> list[tuple[int, ...]]:
    """The colours a little inside the corners, row by row, each channel all or nothing."""
    inside = photo[5:-5, 5:-5]
    return [tuple(int(c > 127) * 255 for c in inside[y, x]) for y in (0, -1) for x in (0, -1)]


def png_chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png_of(width: int, height: int) -> bytes:
    """A complete white 1-bit PNG; thousands of rows pack into kilobytes."""
    rows = zlib.compressobj(9)
    row = b"\0" + b"\xff" * ((width + 7) // 8)
    packed = b"".join(rows.compress(row) for _ in range(height)) + rows.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def picture_or_error(data: bytes) -> Pixels | ImageError:
    """What `read_photo` makes of the bytes; any other exception fails the test."""
    try:
        photo = read_photo(data)
    except ImageError as error:
        assert str(error).endswith(".")
        return error
    assert photo.dtype == np.uint8
    assert photo.ndim == 3
    assert photo.shape[2] == 3
    assert 1 <= max(photo.shape[:2]) <= 1024
    return photo


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF", "MPO"])
def test_each_format_is_read(form: str) -> None:
    options = {"save_all": True, "append_images": [plain(BLUE, (96, 64))]} if form == "MPO" else {}
    photo = read_photo(saved(quarters(), form, **options))
    assert photo.shape == (64, 96, 3)
    assert photo.dtype == np.uint8
    assert corners(photo) == [RED, GREEN, BLUE, YELLOW]


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [RED, GREEN, BLUE, YELLOW]),
        (2, [GREEN, RED, YELLOW, BLUE]),  # mirrored
        (3, [YELLOW, BLUE, GREEN, RED]),  # upside down
        (4, [BLUE, YELLOW, RED, GREEN]),  # mirrored upside down
        (5, [RED, BLUE, GREEN, YELLOW]),  # mirrored along the diagonal
        (6, [BLUE, RED, YELLOW, GREEN]),  # to be turned right
        (7, [YELLOW, GREEN, BLUE, RED]),  # mirrored along the other diagonal
        (8, [GREEN, YELLOW, RED, BLUE]),  # to be turned left
    ],
)
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_picture_stands_upright(form: str, orientation: int, expected: list[tuple[int, ...]]) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    photo = read_photo(saved(quarters(), form, exif=exif))
    assert corners(photo) == expected
    assert photo.shape[:2] == ((64, 96) if orientation < 5 else (96, 64))


def test_an_orientation_that_does_not_exist_is_ignored() -> None:
    exif = Image.Exif()
    exif[0x0112] = 9
    assert corners(read_photo(saved(quarters(), "JPEG", exif=exif))) == [RED, GREEN, BLUE, YELLOW]


def test_a_transparent_png_lies_on_white() -> None:
    # half of 200 and half of 255 is 227 or 228
    assert np.unique(read_photo(saved(plain((200, 0, 0, 0)), "PNG"))).tolist() == [255]
    half = read_photo(saved(plain((200, 0, 0, 128)), "PNG"))[0, 0]
    assert np.allclose(half, (227, 127, 127), atol=1)
    assert read_photo(saved(plain((200, 0, 0, 255)), "PNG"))[0, 0].tolist() == [200, 0, 0]


def test_a_transparent_colour_of_a_palette_lies_on_white() -> None:
    picture = Image.new("P", (4, 2), 0)
    picture.putpalette([*BLUE, *RED])
    picture.putpixel((3, 1), 1)
    for form in ("PNG", "GIF"):
        photo = read_photo(saved(picture, form, transparency=0))
        assert photo[0, 0].tolist() == list(WHITE)
        assert photo[1, 3].tolist() == list(RED)


def test_a_transparent_colour_of_a_png_without_palette_lies_on_white() -> None:
    picture = plain(BLUE, (4, 2))
    picture.putpixel((3, 1), RED)
    photo = read_photo(saved(picture, "PNG", transparency=BLUE))
    assert photo[0, 0].tolist() == list(WHITE)
    assert photo[1, 3].tolist() == list(RED)


def test_transparent_grey_lies_on_white() -> None:
    picture = Image.new("LA", (4, 2), (50, 0))
    picture.putpixel((3, 1), (50, 255))
    photo = read_photo(saved(picture, "PNG"))
    assert photo[0, 0].tolist() == [255, 255, 255]
    assert photo[1, 3].tolist() == [50, 50, 50]


def test_a_transparent_webp_lies_on_white() -> None:
    assert read_photo(saved(plain((0, 0, 0, 0)), "WEBP", lossless=True))[0, 0].tolist() == list(WHITE)


def test_what_is_transparent_does_not_bleed_into_a_picture_made_smaller() -> None:
    # a black ground, made transparent, right of a white one: no grey may appear between them
    pixels = np.full((1500, 1501, 4), 255, np.uint8)
    pixels[:, 700:] = 0
    photo = read_photo(saved(Image.fromarray(pixels), "PNG", compress_level=1))
    assert photo.shape[1] == 1024
    assert photo.min() >= 250


def test_grey_becomes_equal_red_green_and_blue() -> None:
    photo = read_photo(saved(Image.fromarray(np.array([[0, 100, 255]], np.uint8)), "PNG"))
    assert photo.tolist() == [[[0, 0, 0], [100, 100, 100], [255, 255, 255]]]


def test_one_bit_becomes_black_and_white() -> None:
    picture = Image.new("1", (2, 1), 0)
    picture.putpixel((1, 0), 1)
    assert read_photo(saved(picture, "PNG"))[0].tolist() == [[0, 0, 0], [255, 255, 255]]
    assert read_photo(saved(picture, "TIFF"))[0].tolist() == [[0, 0, 0], [255, 255, 255]]


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_to_eight(form: str) -> None:
    # 65,535 / 255 = 257
    values = np.array([[0, 257, 100 * 257, 65535]], np.uint16)
    assert read_photo(saved(Image.fromarray(values), form))[0, :, 0].tolist() == [0, 1, 100, 255]


def test_thirty_two_bits_are_scaled_by_the_brightest() -> None:
    values = np.array([[0, 40_000, 200_000]], np.int32)
    assert read_photo(saved(Image.fromarray(values), "TIFF"))[0, :, 0].tolist() == [0, 51, 255]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 0.5, 1], [0, 128, 255]),
        ([0, 0.25, 0.5], [0, 64, 128]),
        ([0, 40, 200], [0, 51, 255]),
        ([-5, 0, 1], [0, 0, 255]),
        ([np.nan, 0.5, 1], [0, 128, 255]),
        ([-np.inf, 0.5, np.inf], [0, 128, 0]),
        ([0, 1e38, 3e38], [0, 85, 255]),
        ([-3e38, 0, 1], [0, 0, 255]),
    ],
)
def test_floats_are_shares_of_one_or_of_the_brightest(values: list[float], expected: list[int]) -> None:
    data = saved(Image.fromarray(np.array([values], np.float32)), "TIFF")
    assert read_photo(data)[0, :, 0].tolist() == expected


def test_a_cmyk_jpeg_has_its_colours() -> None:
    # full cyan and full yellow make green
    picture = Image.new("CMYK", (64, 64), (255, 0, 255, 0))
    photo = read_photo(saved(picture, "JPEG", quality=95))
    assert np.allclose(photo[32, 32], GREEN, atol=6)


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_of_an_animation_the_first_frame_is_read(form: str) -> None:
    data = saved(plain(RED), form, save_all=True, append_images=[plain(BLUE), plain(GREEN)])
    photo = read_photo(data)
    assert photo.shape == (30, 40, 3)
    assert np.allclose(photo[15, 20], RED, atol=6)


def test_a_large_picture_is_made_smaller_in_proportion() -> None:
    assert read_photo(saved(plain(RED, (4000, 3000)), "JPEG")).shape == (768, 1024, 3)
    assert read_photo(saved(plain(RED, (1500, 3000)), "PNG")).shape == (1024, 512, 3)
    assert read_photo(saved(plain(RED, (3000, 1)), "PNG")).shape == (1, 1024, 3)


def test_a_small_picture_keeps_its_size() -> None:
    assert read_photo(saved(plain(RED, (1, 1)), "PNG")).tolist() == [[list(RED)]]


def test_a_header_that_claims_900_megapixels_is_refused_before_a_pixel_is_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def decode(*_: object) -> None:
        raise AssertionError("a pixel was decoded")

    monkeypatch.setattr(Image.Image, "load", decode)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)
    bomb = png_of(30_000, 30_000)
    assert len(bomb) < 200_000
    with pytest.raises(PictureTooLargeError, match=r"900,000,000 pixels; the limit is 64,000,000. Make it") as caught:
        read_photo(bomb)
    assert (caught.value.found, caught.value.limit, caught.value.unit) == (900_000_000, 64_000_000, "pixels")


def test_a_frame_larger_than_the_animation_s_own_size_is_refused() -> None:
    # a canvas of one pixel, and a first frame of 60,000 by 60,000 on it
    canvas = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, 60_000, 60_000, 0) + b"\x02\x02\x44\x01\x00;"
    with pytest.raises(PictureTooLargeError, match="3,600,000,000 pixels"):
        read_photo(canvas + frame)


def test_pixels_between_our_limit_and_pillows_are_refused_too() -> None:
    with pytest.raises(PictureTooLargeError, match="64,008,000 pixels"):
        read_photo(png_of(8_001, 8_000))


def test_as_many_pixels_as_the_limit_allows_are_read() -> None:
    photo = read_photo(png_of(8_000, 8_000))
    assert photo.shape == (1024, 1024, 3)
    assert photo.min() == 255


def test_more_than_40_megabytes_are_refused_unread() -> None:
    with pytest.raises(PictureTooLargeError, match="This picture has 41 MB; the limit is 40"):
        read_photo(saved(plain(RED), "PNG") + bytes(MAX_BYTES))


def test_forty_megabytes_are_not_too_many() -> None:
    data = saved(plain(RED), "PNG")
    assert read_photo(data + bytes(MAX_BYTES - len(data)))[0, 0].tolist() == list(RED)


def test_an_empty_file_says_so() -> None:
    with pytest.raises(NotAPictureError, match="This file is empty. Choose another picture."):
        read_photo(b"")


@pytest.mark.parametrize(
    "data",
    [
        b"Dear reader, this is a letter.",
        b"%PDF-1.7\n1 0 obj",
        b"\0" * 1000,
        b"PK\x03\x04",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        # a program for a printer, which Pillow would hand to another program
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
    ],
)
def test_what_is_no_picture_is_named_so_with_the_formats_that_are(data: bytes) -> None:
    with pytest.raises(NotAPictureError, match="Choose a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file."):
        read_photo(data)


def noise(form: str) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.random.default_rng(5).integers(0, 256, (40, 30, 3), np.uint8)
    options = {"exif": exif} if form in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF") else {}
    return saved(Image.fromarray(pixels), form, **options)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
def test_a_truncated_picture_is_an_image_error_or_a_picture(form: str) -> None:
    data = noise(form)
    kept = sorted({*range(min(len(data), 80)), *range(80, len(data), max(1, len(data) // 120))})
    outcomes = [picture_or_error(data[:length]) for length in kept]
    assert any(isinstance(outcome, DamagedPictureError) for outcome in outcomes)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "BMP", "TIFF"])
def test_half_a_picture_is_damaged(form: str) -> None:
    data = noise(form)
    with pytest.raises(DamagedPictureError, match="damaged or cut off. Save or download it again."):
        read_photo(data[: len(data) // 2])


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF"])
def test_a_picture_with_altered_bytes_is_an_image_error_or_a_picture(form: str) -> None:
    data, rng = noise(form), np.random.default_rng(6)
    for turn in range(300):
        altered = bytearray(data)
        # every other time in the header, where it matters most
        places = rng.integers(0, min(len(data), 300) if turn % 2 else len(data), 4)
        for place in places:
            altered[place] = rng.integers(0, 256)
        assert picture_or_error(bytes(altered)) is not None


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(MAGIC), st.binary(max_size=300))
@example(b"", b"\0")
def test_random_bytes_are_an_image_error_or_a_picture(magic: bytes, rest: bytes) -> None:
    assert picture_or_error(magic + rest) is not None


@settings(max_examples=200, deadline=None)
@given(
    st.integers(0, 7),
    st.sampled_from([1, 2, 3, 4, 5, 7, 10, 12, 0, 99]),
    st.integers(0, 2**32 - 1),
    st.integers(0, 2**32 - 1),
)
def test_odd_exif_does_not_stop_a_picture(tag: int, kind: int, count: int, value: int) -> None:
    # one directory with the orientation and one odd entry, as a camera's broken firmware might write it
    entries = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0) + struct.pack(">HHII", 0x0113 + tag, kind, count, value)
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2) + entries + b"\0\0\0\0"
    outcome = picture_or_error(saved(quarters(), "JPEG", exif=exif))
    assert isinstance(outcome, np.ndarray)
    assert max(outcome.shape) == 96


def test_letterboxing_keeps_proportions_and_pads_with_the_border_s_colour() -> None:
    photo = np.full((4, 8, 3), (200, 100, 50), np.uint8)
    photo[1:3, 2:6] = BLUE
    boxed = to_network(photo, 8)
    # the photo's four rows lie in the middle, with two rows of its border's colour on each side
    expected = np.full((8, 8, 3), (200, 100, 50), np.uint8)
    expected[3:5, 2:6] = BLUE
    assert np.array_equal(boxed, expected)


def test_a_high_photo_is_padded_left_and_right() -> None:
    photo = np.full((8, 4), 30, np.uint8)
    photo[2:6, 1:3] = 220
    boxed = to_network(photo, 8)
    expected = np.full((8, 8), 30, np.uint8)
    expected[2:6, 3:5] = 220
    assert np.array_equal(boxed, np.repeat(expected[:, :, None], 3, axis=2))


@pytest.mark.parametrize("shape", [(1, 1024, 3), (1024, 1, 3), (1024, 1), (1, 1), (1, 1, 3), (3, 500), (28, 28)])
def test_any_shape_fits_the_network(shape: tuple[int, ...]) -> None:
    boxed = to_network(np.full(shape, 77, np.uint8), 32)
    assert boxed.shape == (32, 32, 3)
    assert np.unique(boxed).tolist() == [77]


@pytest.mark.parametrize("side", [14, 28, 33, 96])
@given(size=st.tuples(st.integers(2, 80), st.integers(2, 80)), seed=st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_the_network_s_input_always_has_its_shape(side: int, size: tuple[int, int], seed: int) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
    boxed = to_network(photo, side)
    assert boxed.shape == (side, side, 3)
    assert boxed.dtype == np.uint8


def test_the_network_s_input_is_the_one_the_index_was_made_with() -> None:
    # a change here makes every stored embedding incomparable with new queries: embed again when it is meant
    y, x = np.mgrid[0:4, 0:6]
    photo = np.stack([40 * x, 60 * y, (x * y * 17) % 256], axis=2).astype(np.uint8)
    assert np.array_equal(to_network(photo, 6), GOLDEN)


@pytest.mark.parametrize(
    ("box", "rows", "columns"),
    [
        ((0, 0, 1, 1), (0, 10), (0, 20)),
        ((0.25, 0.5, 0.75, 1), (5, 10), (5, 15)),
        # outwards to whole pixels
        ((0.26, 0.51, 0.74, 0.99), (5, 10), (5, 15)),
        # what lies outside the photo is cut off
        ((-3, -1, 0.5, 7), (0, 10), (0, 10)),
    ],
)
def test_a_box_cuts_out_its_share(
    box: tuple[float, float, float, float], rows: tuple[int, int], columns: tuple[int, int]
) -> None:
    photo = np.arange(10 * 20 * 3, dtype=np.uint32).astype(np.uint8).reshape(10, 20, 3)
    assert np.array_equal(crop(photo, box), photo[slice(*rows), slice(*columns)])


@pytest.mark.parametrize(
    "box", [(0.5, 0.5, 0.5, 0.5), (0.8, 0, 0.2, 1), (0, 0.8, 1, 0.2), (1.5, 0, 2, 1), (-2, -2, -1, -1), (0, 0, 0.01, 1)]
)
def test_a_box_without_area_is_refused(box: tuple[float, float, float, float]) -> None:
    with pytest.raises(ImageError, match="The box on the photo is too small. Draw it around the garment."):
        crop(np.zeros((50, 50, 3), np.uint8), box)


@pytest.mark.parametrize(
    ("shape", "side", "size"),
    [
        ((28, 28), 200, (200, 200)),
        ((50, 100, 3), 20, (20, 10)),
        ((100, 50, 3), 200, (100, 200)),
        ((1, 900, 3), 9, (9, 1)),
    ],
)
def test_a_thumbnail_has_the_side_asked_for(shape: tuple[int, ...], side: int, size: tuple[int, int]) -> None:
    thumbnail = Image.open(io.BytesIO(encode_jpeg(np.full(shape, 90, np.uint8), side)))
    assert thumbnail.format == "JPEG"
    assert thumbnail.size == size
    assert np.allclose(np.asarray(thumbnail), 90, atol=2)


def test_a_data_uri_carries_the_jpeg() -> None:
    uri = to_data_uri(b"\xff\xd8picture")
    head, _, tail = uri.partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(tail) == b"\xff\xd8picture"
