"""Small stand-ins whose answers can be worked out in one's head."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from fashion16.files.sealed import SEAL_BYTES
from fashion16.types import Floats, Pixels


@dataclass
class FakeEncoder:
    """The mean colour of each quadrant, less mid-grey, as a unit vector of 12; counts its batches."""

    batches: list[int] = field(default_factory=list)
    digest: str = hashlib.sha256(b"fake").hexdigest()

    def encode(self, pictures: Pixels) -> Floats:
        self.batches.append(len(pictures))
        half = pictures.shape[1] // 2
        quadrants = (pictures[:, y : y + half, x : x + half] for y in (0, half) for x in (0, half))
        means = np.concatenate([quadrant.mean(axis=(1, 2)) for quadrant in quadrants], axis=1) - 127.5
        return (means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)).astype(np.float32)


def unit_vectors(n: int, d: int, seed: int) -> Floats:
    """Random directions, shape (n, d)."""
    vectors = np.random.default_rng(seed).standard_normal((n, d))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def reseal(path: Path) -> None:
    """Make the seal of an altered file fit again, for faults that the seal would hide."""
    data = path.read_bytes()
    kind, version, _ = data[:SEAL_BYTES].split(b" ")
    digest = hashlib.sha256(data[SEAL_BYTES:]).hexdigest().encode()
    path.write_bytes(b" ".join([kind, version, digest + b"\n"]).ljust(SEAL_BYTES, b"\0") + data[SEAL_BYTES:])


def write_clothing_archive(path: Path, label_of: dict[str, str], side: int = 48) -> Path:
    """A ZIP laid out as the public clothing dataset's, with a photo of its own for each name."""
    with zipfile.ZipFile(path, "w") as archive:
        table = "image,sender_id,label,kids\n"
        for number, (name, label) in enumerate(label_of.items()):
            pixels = np.random.default_rng(number).integers(0, 256, (6, 6, 3), dtype=np.uint8)
            file = io.BytesIO()
            Image.fromarray(pixels).resize((side, side + 10)).save(file, "JPEG", quality=90)
            archive.writestr(f"clothing-dataset-master/images/{name}.jpg", file.getvalue())
            table += f"{name},1,{label},False\n"
        archive.writestr("clothing-dataset-master/images.csv", table)
    return path
