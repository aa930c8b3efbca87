"""Where everything lies on disk.

models/encoder/               weights.h5, as trained; encoder.tflite, as served, its card, parity.json,
                              references.h5; runs/, the training runs
models/<collection>/          head.h5, the softmax head; evaluation.json and predictions.parquet, how good it is;
                              head.candidate.h5 and refit.json, while they wait for a decision
indexes/<collection>.h5       the hash index
data/<collection>/            catalogue.sqlite, embeddings-<encoder>-<side>.npy, label-issues.h5, map.h5, and the
                              pictures: pictures.npy, or pictures/ and thumbnails/
data/downloads/               data sets as they were fetched
data/<collection>/selections/  items that somebody picked on one page to look at on another
data/jobs/<collection>/       what a process that the app started says of itself
data/reproduction/            what each step of the paper's experiments found
docs/reproduction.json, .md   all of it, for the Metrics page and for reading
packs/<collection>/           a collection packed for sharing
"""

from __future__ import annotations

import re
from pathlib import Path

from fashion16 import settings
from fashion16.errors import WorkspaceError

DEFAULT_COLLECTION = "fashion-mnist"
# a name is a folder, a file, a database schema and a part of an address
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
# folders beside those of the collections, and PostgreSQL's own schema
TAKEN = frozenset({"encoder", "downloads", "jobs", "public", "reproduction", "peers"})


def check_name(name: str) -> str:
    """`name` itself, where a collection may be called so.

    Raises:
        WorkspaceError: it may not.
    """
    if not NAME.fullmatch(name) or name in TAKEN:
        raise WorkspaceError(
            f"A collection cannot be called “{name[:60]}”. Take a name of small letters, digits and hyphens, "
            f"at most 40, that is not one of: {', '.join(sorted(TAKEN))}.",
            Path(name[:60]),
        )
    return name


class Layout:
    """A folder with models, indexes and data: the names of the files in it that belong to no single collection."""

    def __init__(self, root: Path | None = None, database_url: str | None = None) -> None:
        """Open the workspace at `root`, else at FASHION16_HOME, else at the repository this file lies in.

        Args:
            database_url: where the catalogues are kept; else FASHION16_DATABASE_URL, else SQLite files.

        Raises:
            SettingsError: one of these variables is wrong.
        """
        here = Path(__file__).resolve().parent.parent.parent
        self.root = (root or settings.home() or here).resolve()
        self.database_url = database_url or settings.database_url()

    @property
    def encoder_folder(self) -> Path:
        """Where the served encoder lies."""
        return self.root / "models" / "encoder"

    @property
    def encoder_card(self) -> Path:
        """The card of the served encoder."""
        return self.encoder_folder / "encoder.json"

    @property
    def runs_folder(self) -> Path:
        """Where training runs are kept."""
        return self.encoder_folder / "runs"

    @property
    def weights_file(self) -> Path:
        """The trained weights that the served encoder was made of."""
        return self.encoder_folder / "weights.h5"

    @property
    def references_file(self) -> Path:
        """Embeddings of pictures of all kinds, to fit heads with."""
        return self.encoder_folder / "references.h5"

    @property
    def jobs_folder(self) -> Path:
        """The folders of all such processes."""
        return self.root / "data" / "jobs"

    @property
    def downloads_folder(self) -> Path:
        """Data sets as they were fetched."""
        return self.root / "data" / "downloads"

    @property
    def reproduction_folder(self) -> Path:
        """What each step of the paper's experiments found, so that an interrupted run repeats only what is missing."""
        return self.root / "data" / "reproduction"

    @property
    def reproduction_file(self) -> Path:
        """What all of the paper's experiments found."""
        return self.root / "docs" / "reproduction.json"

    @property
    def reproduction_page(self) -> Path:
        """The same for reading."""
        return self.root / "docs" / "reproduction.md"

    @property
    def peers_file(self) -> Path:
        """What the comparison with other libraries has found."""
        return self.root / "docs" / "peers.json"

    @property
    def peers_folder(self) -> Path:
        """What the comparison with other libraries has measured so far."""
        return self.root / "data" / "peers"
