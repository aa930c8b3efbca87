"""How fast pictures come in: python -m benchmarks.importing [CLOTHING_ARCHIVE]

Without the archive of the public clothing dataset its part is left out.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
from PIL import Image

from fashion16.collections.embeddings import embed_pictures
from fashion16.collections.pictures import PictureStore, StoredPictures
from fashion16.collections.workspace import Workspace
from fashion16.images import to_network
from fashion16.search.encoder import BATCH, Encoder

REPOSITORY = Path(__file__).resolve().parent.parent
SMALL, PHOTOS, ROUNDS = 100_000, 320, 3


def main() -> None:
    """Print every figure, one a line."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        home = folder / "home"
        (home / "models").mkdir(parents=True)
        (home / "models" / "encoder").symlink_to(REPOSITORY / "models" / "encoder")
        _embedding_against_encoder(folder)
        _small_pictures(folder, home)
        if len(sys.argv) > 1:
            _clothing(Path(sys.argv[1]).resolve(), home)


def _embedding_against_encoder(folder: Path) -> None:
    """Thumbnails to embeddings on disk, against the encoder on pictures that lie ready in memory."""
    store = PictureStore(folder / "photos")
    rng = np.random.default_rng(16)
    stored = [store.put(_photo(rng)) for _ in range(PHOTOS)]
    pictures = StoredPictures(store, [(one.file, one.width, one.height) for one in stored])
    encoder = Encoder(Workspace().encoder_folder)
    side = encoder.card.side
    ready = [to_network(picture, side) for picture in pictures]
    alone, whole = [], []
    for number in range(ROUNDS):  # in turn, so that a busy machine slows both
        start = perf_counter()
        for first in range(0, PHOTOS, BATCH):
            encoder.encode(np.stack(ready[first : first + BATCH]))
        alone.append(perf_counter() - start)
        start = perf_counter()
        embed_pictures(pictures, side, encoder, folder / f"embeddings-{number}.npy")
        whole.append(perf_counter() - start)
    ratios = [one / all_of_it for one, all_of_it in zip(alone, whole, strict=True)]
    print(f"encoder alone, {side} pixels: {PHOTOS / median(alone):.1f} pictures/s")
    print(f"embedding from thumbnails on disk: {PHOTOS / median(whole):.1f} pictures/s")
    print(f"embedding rate against the encoder alone: {median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})")


def _small_pictures(folder: Path, home: Path) -> None:
    """Many small files in one folder, import alone, by the command, with its peak of memory."""
    pictures = Workspace().collection().pictures()
    heap = folder / "small"
    heap.mkdir()
    for number in range(SMALL):
        # all different: some pixels of the first row carry the number
        picture = np.array(pictures[number % len(pictures)])
        picture[0, :4] = np.frombuffer(number.to_bytes(4, "big"), np.uint8)
        Image.fromarray(picture).save(heap / f"{number:06}.png")
    seconds = _command(home, "import", "small", "--from", str(heap), "--no-index")
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"{SMALL:,} small pictures in one folder, import alone: {seconds:.0f} s, peak {peak:.0f} MB")
    print(f"the same again: {_command(home, 'import', 'small', '--from', str(heap), '--no-index'):.0f} s")


def _clothing(archive: Path, home: Path) -> None:
    """The public clothing dataset, from its archive to searchable."""
    seconds = _command(home, "import", "clothing", "--from", str(archive))
    print(f"public clothing dataset, import to searchable: {seconds:.0f} s")


def _command(home: Path, *arguments: str) -> float:
    start = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "fashion16.cli", *arguments],
        cwd=REPOSITORY,
        env=os.environ | {"FASHION16_HOME": str(home)},
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return perf_counter() - start


def _photo(rng: np.random.Generator) -> bytes:
    """A JPEG of a photo's size and detail, about 30 kB at 400 by 533 pixels."""
    coarse = Image.fromarray(rng.integers(0, 256, (20, 15, 3), dtype=np.uint8)).resize((400, 533))
    grain = rng.normal(0, 6, (533, 400, 3))
    pixels = np.clip(np.asarray(coarse) + grain, 0, 255).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=75)
    return out.getvalue()


if __name__ == "__main__":
    main()
