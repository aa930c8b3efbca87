"""The served network: pictures in, embeddings out, by LiteRT. Never imports TensorFlow where LiteRT exists."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from fashion16.errors import EncoderError
from fashion16.images import to_network
from fashion16.types import Floats, Pixels

THREADS = 2  # more gain little on one picture, and a small host has no more
# the encoder's own speed stops growing at about this many pictures; memory does not
BATCH = 16
FORMAT_VERSION = 1  # of encoder.json
MIN_SIDE = 32  # five halvings leave one pixel


@dataclass(frozen=True)
class EncoderCard:
    """What encoder.json says of the served file beside it.

    Attributes:
        digest: SHA-256 of encoder.tflite; heads and indexes name it, so that none is used with another encoder.
        dimensions: length of an embedding.
        side: pixels a side that pictures are letterboxed to.
        small_side: the same for pictures of at most `small_pictures` pixels a side, to which more pixels
            would add nothing but time.
    """

    digest: str
    dimensions: int
    side: int
    small_side: int
    small_pictures: int
    weights: str
    projection: str
    format_version: int = FORMAT_VERSION

    @classmethod
    def read(cls, path: Path) -> EncoderCard:
        """The card in a JSON file.

        Raises:
            EncoderError: it is missing, not a card, or of a newer version.
        """
        try:
            card = cls(**json.loads(path.read_text()))
        except FileNotFoundError as error:
            raise EncoderError(f"There is no encoder in {path.parent}. Restore it from the repository.") from error
        except (OSError, ValueError, TypeError) as error:
            raise EncoderError(f"{path} is not an encoder's card ({error}). Restore it from the repository.") from error
        if card.format_version != FORMAT_VERSION:
            raise EncoderError(f"{path} was written by a newer Fashion-16. Update Fashion-16.")
        return card

    def write(self, path: Path) -> None:
        """Write the card as JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")

    def side_for(self, height: int, width: int) -> int:
        """The side at which a collection of pictures of this size is encoded."""
        return self.small_side if max(height, width) <= self.small_pictures else self.side


class EncodesPictures(Protocol):
    """What search and embedding need of an encoder; a test's fake has the same."""

    @property
    def digest(self) -> str:
        """Names the network: embeddings of different digests must not be compared."""

    def encode(self, pictures: Pixels) -> Floats:
        """Embeddings, shape (n, d), float32, unit length, of pictures (n, side, side, 3), uint8."""


class LiteNetwork:
    """A LiteRT file as a function of pictures. Safe to share: one lock round the interpreter."""

    def __init__(self, data: bytes) -> None:
        """Load the file's bytes.

        Raises:
            EncoderError: they are no LiteRT network, or no interpreter is installed.
        """
        self._interpreter = _interpreter(data)
        self._input = self._interpreter.get_input_details()[0]["index"]
        self._output = self._interpreter.get_output_details()[0]["index"]
        self._shape: tuple[int, ...] = ()
        self._lock = threading.Lock()

    def encode(self, pictures: Pixels) -> Floats:
        """What the network makes of pictures (n, side, side, 3), uint8: shape (n, d), float32."""
        if pictures.ndim != 4 or pictures.shape[3] != 3 or not len(pictures) or min(pictures.shape[1:3]) < MIN_SIDE:
            raise ValueError(
                f"pictures must have shape (n, side, side, 3) with sides from {MIN_SIDE}, received {pictures.shape}"
            )
        with self._lock:
            if pictures.shape != self._shape:
                self._shape = ()  # should the new one fail, the old one is gone too
                self._interpreter.resize_tensor_input(self._input, pictures.shape)
                self._interpreter.allocate_tensors()
                self._shape = pictures.shape
            self._interpreter.set_tensor(self._input, pictures.astype(np.float32))
            self._interpreter.invoke()
            vectors: Floats = self._interpreter.get_tensor(self._output)
        return vectors


class Encoder(LiteNetwork):
    """The served network: VGG-16 with its embedding, and the card that says what it is."""

    def __init__(self, folder: Path, card: EncoderCard | None = None) -> None:
        """Load encoder.tflite from `folder`.

        Args:
            card: its card, where it has been read already.

        Raises:
            EncoderError: a file is missing, damaged, or not the one that the card names.
        """
        self.card = card or EncoderCard.read(folder / "encoder.json")
        path = folder / "encoder.tflite"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise EncoderError(f"{path} cannot be read. Restore it from the repository.") from error
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.card.digest:
            raise EncoderError(
                f"{path} is not the encoder that encoder.json names (SHA-256 {digest[:12]}…, expected "
                f"{self.card.digest[:12]}…). Restore both from the repository."
            )
        super().__init__(data)

    @property
    def digest(self) -> str:
        """SHA-256 of the served file."""
        return self.card.digest


def encode_stream(
    encoder: LiteNetwork | EncodesPictures, pictures: Iterable[Pixels], batch: int = BATCH
) -> Iterator[Floats]:
    """Embeddings of a stream of pictures (side, side, 3), a batch at a time, each of shape (m, d)."""
    waiting: list[Pixels] = []
    for picture in pictures:
        waiting.append(picture)
        if len(waiting) == batch:
            yield encoder.encode(np.stack(waiting))
            waiting.clear()
    if waiting:
        yield encoder.encode(np.stack(waiting))


def encode_all(encoder: EncodesPictures, pictures: Iterable[Pixels], side: int) -> Floats:
    """Embeddings, shape (n, d), of at least one picture, each (h, w) or (h, w, 3), letterboxed to `side`."""
    return np.concatenate(list(encode_stream(encoder, (to_network(picture, side) for picture in pictures))))


def _interpreter(data: bytes) -> Any:
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError as error:
        raise EncoderError("No LiteRT interpreter is installed. Run: pip install -r requirements.txt") from error
    try:
        return Interpreter(model_content=data, num_threads=THREADS)
    except (ValueError, RuntimeError) as error:
        raise EncoderError(f"The encoder is not a LiteRT network ({error}). Restore it from the repository.") from error
