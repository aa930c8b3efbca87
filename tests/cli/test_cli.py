"""The command line: what each command prints, and one sentence with exit status 1 when something is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer.main
from PIL import Image
from typer.testing import CliRunner

from fashion16 import __version__, settings
from fashion16.cli import app
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.errors import SearchError
from fashion16.search.encoder import EncoderCard
from fashion16.search.index_file import read_index, write_index
from fashion16.sources.clothing import ClothingArchive
from fashion16.training import make_encoder
from fashion16.training.encoder_export import Parity
from fashion16.training.run_settings import EncoderSettings
from fashion16.training.runs import Run
from tests.conftest import REPOSITORY
from tests.fakes import write_clothing_archive

NAME = DEFAULT_COLLECTION


def _flattened(commands: dict[str, Any], before: str = "") -> dict[str, Any]:
    """The commands by their whole names, those of a group with the group's name before theirs."""
    found = {}
    for name, command in commands.items():
        inner = getattr(command, "commands", None)
        found |= _flattened(inner, f"{name} ") if inner else {before + name: command}
    return found


COMMANDS = _flattened(typer.main.get_command(app.app).commands)
WIDE = {"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}


@pytest.fixture
def home(small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """The workspace that the commands open."""
    monkeypatch.setenv(settings.HOME.variable, str(small_workspace.root))
    return small_workspace


@pytest.fixture
def boot(home: Workspace, tmp_path: Path) -> Path:
    """The collection's first picture, an ankle boot, as a file."""
    path = tmp_path / "boot.png"
    Image.fromarray(home.collection(NAME).pictures()[0].copy()).save(path)
    return path


def succeed(*arguments: object) -> str:
    """What the command prints."""
    result = CliRunner().invoke(app.app, [str(argument) for argument in arguments], env=WIDE)
    assert (result.exit_code, result.exception) == (0, None)
    return result.stdout


def table(printed: str) -> list[list[str]]:
    """The rows of the table in it."""
    lines = (line for line in printed.splitlines() if line.startswith("│"))
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def refused(*arguments: object) -> str:
    """What a command says that was called the wrong way."""
    result = CliRunner().invoke(app.app, [str(argument) for argument in arguments], env=WIDE)
    assert result.exit_code == 2
    return result.stderr


def in_a_process(root: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fashion16.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8", settings.HOME.variable: str(root), **WIDE},
    )


def test_there_is_a_command_for_each_step() -> None:
    assert {"import", "embed", "index", "search", "doctor", "encoder", "train category-cnn", "evaluate"} <= set(
        COMMANDS
    )


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help_with_an_example(command: str) -> None:
    printed = succeed(*command.split(), "--help")
    assert len(COMMANDS[command].help.splitlines()[0]) > 20
    assert f"Example: fashion16 {command}" in " ".join(printed.split())


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"fashion16 {command}" in (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_version_is_that_of_the_package() -> None:
    assert succeed("--version").strip() == __version__


def test_a_search_prints_category_results_and_timings(home: Workspace, boot: Path) -> None:
    printed = succeed("search", boot, "-k", 3)
    assert printed.startswith("Category: Ankle boot ")
    rows = table(printed)
    assert [(rank, label) for rank, _, label, _ in rows] == [(str(n), "Ankle boot") for n in (1, 2, 3)]
    assert rows[0] == ["1", "1", "Ankle boot", "100.0%"]
    for step in ("prepare", "encode", "classify", "search"):
        assert f"{step} " in printed
    with home.collection(NAME).catalogue() as catalogue:
        assert f"{catalogue.label_counts()['Ankle boot']} candidates" in printed


def test_a_search_can_be_told_where_to_look(boot: Path) -> None:
    elsewhere = table(succeed("search", boot, "-k", 90, "--category", "Bag", "--category", "Coat"))
    assert {label for _, _, label, _ in elsewhere} == {"Bag", "Coat"}
    everywhere = succeed("search", boot, "--all", "-k", 400)
    assert len(table(everywhere)) == 400
    assert "400 candidates" in everywhere


def test_a_search_shows_todays_label(home: Workspace, boot: Path) -> None:
    with home.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "[red]Gumboot[/]", "ann", 0)
    printed = succeed("search", boot, "--category", "[red]Gumboot[/]")
    assert table(printed) == [["1", "1", "[red]Gumboot[/]", "100.0%"]]


def test_a_search_shows_an_item_that_the_catalogue_has_lost(home: Workspace, boot: Path) -> None:
    index, header = read_index(home.collection(NAME).index_file)
    index.add(np.array([9_999]), index.embeddings([1]), "Ankle boot")
    write_index(home.collection(NAME).index_file, index, header)
    assert ["2", "9999", "?", "100.0%"] in table(succeed("search", boot, "-k", 2))


def test_an_index_is_built_with_todays_labels(home: Workspace) -> None:
    assert succeed("index", NAME, "--n-bits", 64).strip().endswith(f"{NAME}: 400 items in 10 categories, 64 bits")
    assert home.open().searcher.index.hyperplanes.n_bits == 64


@pytest.mark.parametrize("n_bits", [100, 9, 255])
def test_bits_that_are_no_multiple_of_8_are_refused(n_bits: int) -> None:
    assert f"{n_bits} is not a multiple of 8" in refused("index", NAME, "--n-bits", n_bits)


@pytest.mark.parametrize("n_bits", [0, -8, 8192])
def test_too_few_or_too_many_bits_are_refused(n_bits: int) -> None:
    assert "'--n-bits'" in refused("index", NAME, "--n-bits", n_bits)


@pytest.mark.parametrize("k", [0, 1001])
def test_too_few_or_too_many_results_are_refused(boot: Path, k: int) -> None:
    assert "'-k'" in refused("search", boot, "-k", k)


def test_embed_prints_where_the_embeddings_are(home: Workspace) -> None:
    digest = EncoderCard.read(home.encoder_folder / "encoder.json").digest
    path = home.collection(NAME).embeddings_file(digest, 64)
    path.unlink()
    np.save(home.collection(NAME).pictures_file, home.collection(NAME).pictures()[:16].copy())
    assert path.name in succeed("embed", NAME).replace("\n", "")
    assert path.is_file()


def test_import_prints_how_many_items_there_are(home: Workspace) -> None:
    assert succeed("import").strip() == f"{NAME}: 400 items"


def test_import_of_an_unknown_data_set_names_the_known_one(home: Workspace) -> None:
    with pytest.raises(
        SearchError, match=f"No data set is called “hats”. There are {NAME} and clothing; .* --from FOLDER"
    ):
        CliRunner().invoke(app.app, ["import", "hats"], catch_exceptions=False)


def test_doctor_prints_a_line_for_each_check(home: Workspace) -> None:
    printed = succeed("doctor")
    assert printed.count("ok ") == 6
    assert "400 of 400 items find themselves first" in printed


def test_doctor_ends_with_status_1_when_something_is_wrong(home: Workspace) -> None:
    home.collection(NAME).pictures_file.unlink()
    result = CliRunner().invoke(app.app, ["doctor"], env=WIDE)
    assert result.exit_code == 1
    assert f"problem collection: The pictures of “{NAME}” are not there." in result.stdout


PARITY = {"photos": Parity(9, 0.999, 0.99, 1.0, 0.9, 0.88)}
CARD = EncoderCard("c0ffee" * 10 + "c0de", 256, 224, 64, 32, "trained", "discriminants of 3 pictures")


def test_encoder_prints_the_new_card_and_what_the_8_bits_cost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[ClothingArchive] = []

    def export(_: Workspace, archive: ClothingArchive, progress: object) -> tuple[EncoderCard, dict[str, Parity]]:
        asked.append(archive)
        return CARD, PARITY

    monkeypatch.setattr(make_encoder, "export", export)
    path = write_clothing_archive(tmp_path / "a.zip", {"one": "Hat"})
    printed = succeed("encoder", "--photos", path)
    assert "Encoder c0ffeec0ffee…: discriminants of 3 pictures" in printed
    assert all(figure in printed for figure in ("photos", "0.8800", "0.9000", "0.99900", "0.99000"))
    assert asked[0].path == path


def test_train_encoder_trains_exports_and_indexes(
    home: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_clothing_archive(tmp_path / "a.zip", {"one": "Hat", "two": "Polo"})
    done: list[object] = []

    def train(workspace: Workspace, data: object, settings: EncoderSettings, *_: object) -> Run:
        done.append((settings.epochs, settings.seed))
        run = Run.begin(workspace.root / "runs", "encoder", {})
        run.finish(
            {"validation_accuracy_small": 0.9, "validation_accuracy_photos": 0.8, "best_epoch": 2, "seconds": 7.0}
        )
        return run

    def export(*_: object) -> tuple[EncoderCard, dict[str, Parity]]:
        done.append("exported")
        return CARD, PARITY

    monkeypatch.setattr(make_encoder, "train", train)
    monkeypatch.setattr(make_encoder, "export", export)
    before = home.collection(NAME).index_file.stat().st_mtime_ns
    printed = succeed("train", "encoder", "--photos", path, "--epochs", 2)
    assert done == [(2, 16), "exported"]
    assert "validation accuracy 0.9000 of small pictures, 0.8000 of photos, best epoch 2" in printed
    assert home.collection(NAME).index_file.stat().st_mtime_ns > before


def test_ctrl_c_in_training_says_how_to_go_on(home: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object) -> Run:
        raise KeyboardInterrupt

    monkeypatch.setattr(make_encoder, "train", train)
    path = write_clothing_archive(tmp_path / "a.zip", {"one": "Hat"})
    result = CliRunner().invoke(app.app, ["train", "encoder", "--photos", str(path)], env=WIDE)
    assert result.exit_code == 130
    assert "The same command goes on after the last whole epoch." in result.stderr


def test_training_without_the_photos_says_where_they_are(tmp_path: Path) -> None:
    ended = in_a_process(tmp_path, "train", "encoder", "--photos", tmp_path / "none.zip")
    assert_one_sentence(ended, "There is no clothing dataset at")
    assert "Download https://github.com/alexeygrigorev/clothing-dataset" in ended.stderr


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def assert_one_sentence(ended: subprocess.CompletedProcess[str], sentence: str) -> None:
    assert (ended.returncode, ended.stdout) == (1, "")
    assert sentence in ended.stderr
    # the interpreter of the network greets with a line of its own, which nobody can turn off
    assert len([line for line in ended.stderr.splitlines() if not line.startswith("INFO: ")]) == 1


def test_a_file_that_is_no_picture_is_one_sentence(tmp_path: Path) -> None:
    ended = in_a_process(tmp_path, "search", write(tmp_path / "notes.txt", b"buy milk"))
    assert_one_sentence(ended, "This file is not a picture we can read.")


def test_an_empty_file_is_one_sentence(tmp_path: Path) -> None:
    assert_one_sentence(in_a_process(tmp_path, "search", write(tmp_path / "empty.jpg", b"")), "This file is empty.")


def test_a_missing_file_is_one_sentence(tmp_path: Path) -> None:
    ended = in_a_process(tmp_path, "search", tmp_path / "no[where].jpg")
    assert_one_sentence(ended, "no[where].jpg cannot be read (No such file or directory).")


def test_a_folder_is_one_sentence(tmp_path: Path) -> None:
    assert_one_sentence(in_a_process(tmp_path, "search", tmp_path), "cannot be read (Is a directory).")


def test_a_file_of_60_megabytes_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "huge.jpg"
    with path.open("wb") as file:
        file.truncate(60 * 2**20)
    assert_one_sentence(in_a_process(tmp_path, "search", path), "This picture has 60 MB; the limit is 40.")


def test_an_unknown_collection_is_one_sentence(home: Workspace, boot: Path) -> None:
    assert_one_sentence(in_a_process(home.root, "search", boot, "--collection", "hats"), "There is no head at")


def test_an_unknown_category_is_one_sentence(home: Workspace, boot: Path) -> None:
    ended = in_a_process(home.root, "search", boot, "--category", "Hat")
    assert_one_sentence(ended, "The index has no category “Hat”. It has: Ankle boot, Bag, Coat")


def test_a_command_called_the_wrong_way_ends_with_status_2(tmp_path: Path) -> None:
    ended = in_a_process(tmp_path, "index", "--n-bits", 100)
    assert ended.returncode == 2
    assert "100 is not a multiple of 8" in ended.stderr
    assert "Traceback" not in ended.stderr
