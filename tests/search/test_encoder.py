"""The served network: the committed one, and what is refused in its place."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from fashion16.errors import EncoderError
from fashion16.search.encoder import Encoder, EncoderCard, LiteNetwork, encode_stream
from fashion16.types import Floats, Pixels
from tests.conftest import REPOSITORY
from tests.fakes import FakeEncoder

COMMITTED = REPOSITORY / "models" / "encoder"
CARD = EncoderCard(
    digest="d" * 64,
    dimensions=256,
    side=224,
    small_side=96,
    small_pictures=32,
    weights="none",
    projection="none",
)


def noise(n: int, side: int, seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(COMMITTED)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the committed encoder, to be damaged."""
    return Path(shutil.copytree(COMMITTED, tmp_path / "encoder"))


def test_the_committed_encoder_has_at_most_20_megabytes() -> None:
    assert (COMMITTED / "encoder.tflite").stat().st_size <= 20_000_000


def test_the_committed_card_names_its_file(encoder: Encoder) -> None:
    data = (COMMITTED / "encoder.tflite").read_bytes()
    assert encoder.digest == encoder.card.digest == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("side", [32, 64, 96, 224])
def test_embeddings_have_unit_length_at_any_multiple_of_32(encoder: Encoder, side: int) -> None:
    embeddings = encoder.encode(noise(2, side, seed=side))
    assert embeddings.shape == (2, encoder.card.dimensions)
    assert embeddings.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, atol=1e-5)


def test_different_pictures_have_different_embeddings(encoder: Encoder) -> None:
    black, white = np.zeros((64, 64, 3), np.uint8), np.full((64, 64, 3), 255, np.uint8)
    first, second = encoder.encode(np.stack([black, white]))
    assert first @ second < 0.9


def test_an_embedding_does_not_depend_on_the_batch_it_came_in(encoder: Encoder) -> None:
    pictures = noise(7, 32, seed=1)
    alone = np.concatenate([encoder.encode(picture[None]) for picture in pictures])
    for batch in (2, 3, 7):
        together = np.concatenate(list(encode_stream(encoder, pictures, batch)))
        np.testing.assert_allclose(together, alone, atol=1e-4)


def test_an_answer_is_not_changed_by_the_next_one(encoder: Encoder) -> None:
    first = encoder.encode(noise(2, 32, seed=2))
    kept = first.copy()
    encoder.encode(noise(2, 32, seed=3))
    np.testing.assert_array_equal(first, kept)


def test_several_threads_get_the_answers_they_would_get_alone(encoder: Encoder) -> None:
    # each its own shape, so that a mixed-up one could not pass unseen
    questions = [noise(1 + number % 3, 32 * (1 + number % 2), seed=number) for number in range(6)]
    alone = [encoder.encode(question) for question in questions]
    answers: list[list[Floats]] = [[] for _ in questions]
    barrier = threading.Barrier(len(questions))

    def ask(number: int) -> None:
        barrier.wait()
        answers[number] = [encoder.encode(questions[number]) for _ in range(4)]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(questions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, received in zip(alone, answers, strict=True):
        assert len(received) == 4
        for answer in received:
            np.testing.assert_allclose(answer, expected, atol=1e-6)


@pytest.mark.parametrize(
    "shape",
    [
        (0, 32, 32, 3),
        (1, 0, 0, 3),
        (1, 16, 16, 3),
        (1, 32, 31, 3),
        (1, 32, 32, 1),
        (1, 32, 32, 4),
        (32, 32, 3),
        (32, 32),
        (0,),
    ],
)
def test_pictures_of_another_shape_are_refused(encoder: Encoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"must have shape \(n, side, side, 3\) with sides from 32, received"):
        encoder.encode(np.zeros(shape, np.uint8))
    assert encoder.encode(noise(1, 32, seed=4)).shape == (1, 256)


def test_after_a_shape_that_failed_the_old_one_works_again(encoder: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    class OutOfMemory:
        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def allocate_tensors(self) -> None:
            raise RuntimeError("no memory")

    real = encoder._interpreter
    pictures = noise(2, 32, seed=5)
    before = encoder.encode(pictures)
    with monkeypatch.context() as patched:
        patched.setattr(encoder, "_interpreter", OutOfMemory())
        with pytest.raises(RuntimeError, match="no memory"):
            encoder.encode(noise(3, 32, seed=5))
    np.testing.assert_allclose(encoder.encode(pictures), before, atol=1e-6)


def test_a_folder_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="There is no encoder in .*Restore it from the repository"):
        Encoder(tmp_path)


def test_a_card_without_its_file_is_refused(folder: Path) -> None:
    (folder / "encoder.tflite").unlink()
    with pytest.raises(EncoderError, match="cannot be read. Restore it"):
        Encoder(folder)


def test_an_altered_file_is_refused(folder: Path) -> None:
    path = folder / "encoder.tflite"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(EncoderError, match="is not the encoder that encoder.json names.*Restore both"):
        Encoder(folder)


@pytest.mark.parametrize("content", [b"", b"not a network", b"\x1c\x00\x00\x00TFL3" + b"\xff" * 100])
def test_a_file_that_is_no_network_is_refused_though_the_card_names_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "encoder.tflite").write_bytes(content)
    replace(CARD, digest=hashlib.sha256(content).hexdigest()).write(tmp_path / "encoder.json")
    with pytest.raises(EncoderError, match="is not a LiteRT network .*Restore it"):
        Encoder(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "not JSON",
        "[]",
        "{}",
        json.dumps({"digest": "d" * 64}),
        json.dumps(asdict(CARD) | {"price": 9}),
    ],
)
def test_a_bad_card_is_refused(folder: Path, text: str) -> None:
    (folder / "encoder.json").write_text(text)
    with pytest.raises(EncoderError, match="is not an encoder's card .*Restore it"):
        Encoder(folder)


def test_a_card_that_is_not_text_is_refused(folder: Path) -> None:
    (folder / "encoder.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EncoderError, match="is not an encoder's card"):
        Encoder(folder)


def test_a_newer_card_is_refused(folder: Path) -> None:
    replace(EncoderCard.read(folder / "encoder.json"), format_version=2).write(folder / "encoder.json")
    with pytest.raises(EncoderError, match="newer Fashion-16. Update Fashion-16"):
        Encoder(folder)


def test_a_card_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    CARD.write(tmp_path / "card.json")
    assert EncoderCard.read(tmp_path / "card.json") == CARD


@pytest.mark.parametrize(
    ("height", "width", "side"), [(28, 28, 96), (32, 32, 96), (32, 33, 224), (33, 10, 224), (600, 400, 224)]
)
def test_small_pictures_are_encoded_at_the_small_side(height: int, width: int, side: int) -> None:
    assert CARD.side_for(height, width) == side


@pytest.mark.parametrize(("n", "batches"), [(0, []), (1, [1]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1])])
def test_a_stream_is_encoded_batch_by_batch(n: int, batches: list[int]) -> None:
    fake = FakeEncoder()
    pictures = noise(n, 32, seed=6)
    blocks = list(encode_stream(fake, iter(pictures), batch=3))
    assert fake.batches == batches == [len(block) for block in blocks]
    if n:
        np.testing.assert_array_equal(np.concatenate(blocks), FakeEncoder().encode(pictures))


def test_a_stream_is_read_only_as_far_as_it_is_needed() -> None:
    read = 0

    def stream() -> Iterator[Pixels]:
        nonlocal read
        for picture in noise(9, 32, seed=7):
            read += 1
            yield picture

    next(encode_stream(FakeEncoder(), stream(), batch=2))
    assert read == 2


def test_bytes_that_are_no_network_are_refused() -> None:
    with pytest.raises(EncoderError, match="is not a LiteRT network"):
        LiteNetwork(b"")
