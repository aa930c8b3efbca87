"""The doctor: all is well, or each fault has its finding and the command that mends it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from fashion16.catalogue.rows import ImportedItem
from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.explore import doctor
from fashion16.explore.doctor import Finding, examine
from fashion16.search.head import Head
from fashion16.search.index import CategoryIndex
from fashion16.search.index_file import read_index, write_index

NAME = DEFAULT_COLLECTION
CHECKS = ["versions", "encoder, head and index", "items", "categories", "pictures", "self-recall"]


def findings(workspace: Workspace) -> dict[str, Finding]:
    return {finding.what: finding for finding in examine(workspace.collection(NAME))}


def rewrite_index(workspace: Workspace, change: Callable[[CategoryIndex], CategoryIndex]) -> None:
    index, header = read_index(workspace.collection(NAME).index_file)
    write_index(workspace.collection(NAME).index_file, change(index), header)


def test_all_is_well_with_a_collection_just_built(small_workspace: Workspace) -> None:
    reported: list[tuple[int, int]] = []
    found = list(examine(small_workspace.collection(NAME), lambda done, total: reported.append((done, total))))
    assert [finding.what for finding in found] == CHECKS
    assert [finding for finding in found if not finding.well] == []
    facts = {finding.what: finding.facts for finding in found}
    assert facts["items"] == "400 in the catalogue and in the index, revision 0"
    assert facts["categories"] == "10, each item in that of its label"
    assert facts["pictures"] == "400 of them opened"
    assert facts["self-recall"] == "400 of 400 items find themselves first"
    assert reported[-1] == (400, 400)


def test_all_is_well_with_the_committed_collection(workspace: Workspace) -> None:
    found = list(examine(workspace.collection(NAME)))
    assert [finding.what for finding in found] == CHECKS
    assert [finding for finding in found if not finding.well] == []
    assert found[2].facts == "70,000 in the catalogue and in the index, revision 0"


def test_items_of_each_committed_category_find_themselves(workspace: Workspace) -> None:
    index = workspace.open().searcher.index
    for category, partition in index.partitions.items():
        ids = partition.ids[::100]
        assert len(ids) == 70
        neighbours = index.search(index.embeddings(ids), [category], k=1)
        assert neighbours.similarities[:, 0].min() > 1 - 1e-4


def test_all_is_well_after_corrections(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue:
        catalogue.correct(1, "Bag", "ann", 0)
    found = findings(small_workspace)
    assert all(finding.well for finding in found.values())
    assert found["items"].facts.endswith("revision 1")


def test_a_missing_package_is_named(small_workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    found = findings(small_workspace)["versions"]
    assert found == Finding("versions", False, "missing: no-such-package. Run: pip install -r requirements.txt")


def test_what_cannot_be_opened_is_the_last_finding(small_workspace: Workspace) -> None:
    small_workspace.collection(NAME).head_file.unlink()
    versions, last = examine(small_workspace.collection(NAME))
    assert (last.what, last.well) == ("collection", False)
    assert "Make one with: fashion16 index" in last.facts


def test_a_head_of_another_encoder_is_the_last_finding(small_workspace: Workspace) -> None:
    head = Head.read(small_workspace.collection(NAME).head_file)
    replace(head, encoder_digest="f" * 64).write(small_workspace.collection(NAME).head_file)
    versions, last = examine(small_workspace.collection(NAME))
    assert (last.what, last.well) == ("collection", False)
    assert f"Make it again with: fashion16 index {NAME}" in last.facts


def test_an_item_that_is_not_in_the_index_is_found(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue:
        catalogue.add([ImportedItem(0, "0" * 64, "Bag", "train", "another shop")])
    found = findings(small_workspace)["items"]
    assert not found.well
    assert found.facts.startswith("1 items of the catalogue are not in the index, 0 of the index not in the catalogue")
    assert f"fashion16 embed {NAME} && fashion16 index {NAME}" in found.facts


def test_an_item_that_only_the_index_has_is_found(small_workspace: Workspace) -> None:
    def add_strange(index: CategoryIndex) -> CategoryIndex:
        index.add(np.array([9_999]), index.embeddings([1]), "Bag")
        return index

    rewrite_index(small_workspace, add_strange)
    found = findings(small_workspace)["items"]
    assert not found.well
    assert found.facts.startswith("0 items of the catalogue are not in the index, 1 of the index not in the catalogue")


def test_an_item_in_another_category_than_its_label_is_found(small_workspace: Workspace) -> None:
    def misplace(index: CategoryIndex) -> CategoryIndex:
        index.move([1, 2], "Bag")
        return index

    # 1 and 2, an ankle boot and a T-shirt, were never corrected
    rewrite_index(small_workspace, misplace)
    found = findings(small_workspace)["categories"]
    assert not found.well
    assert found.facts.startswith("2 items lie in another category than their label says")
    assert f"Run: fashion16 index {NAME}" in found.facts


def test_a_category_that_the_head_does_not_know_is_found(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue:
        for item_id in range(1, 11):
            catalogue.correct(item_id, "Gumboot", "ann", 0)
    found = findings(small_workspace)["categories"]
    assert not found.well
    assert "the head does not know ['Gumboot']" in found.facts


def test_a_label_too_small_to_learn_is_shown(small_workspace: Workspace) -> None:
    with small_workspace.collection(NAME).catalogue() as catalogue:
        for item_id in range(1, 10):
            catalogue.correct(item_id, "Gumboot", "ann", 0)
    found = findings(small_workspace)["categories"]
    assert found == Finding("categories", True, "11, each item in that of its label; too small to learn: Gumboot (9)")


def test_a_missing_picture_is_found(small_workspace: Workspace) -> None:
    np.save(small_workspace.collection(NAME).pictures_file, small_workspace.collection(NAME).pictures()[:399].copy())
    found = findings(small_workspace)["pictures"]
    assert found == Finding("pictures", False, "The picture of item 400 is missing. Import the collection again.")


def test_an_item_that_does_not_find_itself_is_found(small_workspace: Workspace) -> None:
    def blank(index: CategoryIndex) -> CategoryIndex:
        partitions = index.partitions
        embeddings = partitions["Bag"].embeddings.copy()
        embeddings[0] = 0
        partitions["Bag"] = replace(partitions["Bag"], embeddings=embeddings)
        return CategoryIndex(index.hyperplanes, partitions)

    rewrite_index(small_workspace, blank)
    found = findings(small_workspace)["self-recall"]
    assert found == Finding(
        "self-recall", False, f"399 of 400 items find themselves first. Run: fashion16 index {NAME}"
    )
