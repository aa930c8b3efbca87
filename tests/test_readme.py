"""The README: its Python runs, and what it links to is there."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest
from PIL import Image

from fashion16.collections.opened import Collection
from fashion16.collections.workspace import Workspace
from tests.conftest import REPOSITORY

README = REPOSITORY / "README.md"
WRITTEN = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("models/*/README.md")])


def test_the_python_of_the_readme_runs(
    workspace: Workspace, collection: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    monkeypatch.setenv("FASHION16_HOME", str(workspace.root))
    monkeypatch.chdir(tmp_path)
    # the collection's first picture is an ankle boot
    Image.fromarray(collection.picture(1)).resize((280, 280)).save("boot.jpg")
    test = doctest.DocTestParser().get_doctest("".join(blocks), {}, README.name, str(README), 0)
    assert len(test.examples) > 4
    said: list[str] = []
    assert doctest.DocTestRunner().run(test, out=said.append).failed == 0, "".join(said)


@pytest.mark.parametrize("page", WRITTEN, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_a_page_links_only_to_files_that_are_there(page: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []
