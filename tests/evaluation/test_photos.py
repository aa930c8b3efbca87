"""Figures on photos, with pictures that even a fake encoder tells apart."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fashion16.evaluation import metrics
from fashion16.evaluation.photos import measure_photos
from fashion16.search.head import Head
from fashion16.sources.clothing import ClothingArchive
from tests.fakes import FakeEncoder

# the colours of the quadrants that a label's photos have in common
LOOK = {
    "Hat": (220, 40, 40, 220),
    "Dress": (40, 220, 220, 40),
    "Polo": (220, 220, 40, 40),
    "Not sure": (90, 90, 90, 90),
}


@pytest.fixture
def archive(tmp_path: Path) -> ClothingArchive:
    """Sixty photos, and a table that puts hats and dresses into the subset."""
    rng = np.random.default_rng(16)
    path, table = tmp_path / "photos.zip", tmp_path / "split.csv"
    rows, split_rows = ["image,sender_id,label,kids"], ["image,label,split"]
    with zipfile.ZipFile(path, "w") as file:
        for number in range(160):
            label = list(LOOK)[number % 4]
            quadrants = np.array(LOOK[label]).reshape(2, 2, 1) + rng.integers(-35, 36, (2, 2, 3))
            pixels = np.kron(quadrants.astype(np.uint8), np.ones((30, 30, 1), np.uint8))
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "PNG")
            file.writestr(f"images/{number:03}.jpg", out.getvalue())
            rows.append(f"{number:03},1,{label},False")
            if label in ("Hat", "Dress"):
                split_rows.append(f"{number:03},{label.lower()},{'validation' if number % 5 == 0 else 'train'}")
        file.writestr("images.csv", "\n".join(rows))
    table.write_text("\n".join(split_rows))
    return ClothingArchive(path, table)


def test_photos_are_measured_on_what_was_held_back(archive: ClothingArchive) -> None:
    encoder = FakeEncoder()
    # a head of another data set, whose pictures look like these
    shirts, dresses = np.array([[220, 220, 40, 40], [40, 220, 220, 40]], np.float32) - 127.5
    rows = np.repeat(np.stack([shirts, dresses]), 3, axis=1) / 300
    head = Head.fit(np.repeat(rows, 5, axis=0), np.repeat(["T-shirt/top", "Dress"], 5), encoder.digest, 0)
    steps: list[str] = []
    with archive:
        report = measure_photos(encoder, 32, head, archive, False, steps.append)
        held_back = [photo for photo in archive.photos if photo.label and photo.split == "validation"]
        strangers = [photo for photo in archive.photos if photo.label and photo.split != "train"]
    assert report.photos == 160
    assert len(steps) == 4
    ten = report.ten_classes
    assert (ten.accuracy.value, ten.accuracy.n) == (1.0, 16)
    counted = [photo for photo in held_back if photo.label != "Hat"]
    assert report.counterparts.accuracy.n == len(counted)
    assert report.counterparts.accuracy.value == 1.0
    assert set(report.counterparts.labels) == {"Dress", "Polo"}
    found = report.instances.direct.recall_at_1
    assert found.n == len(strangers)
    assert found.value > 0.5
    assert report.retrieval.direct.precision_at_20.value > 0.8


def test_without_the_subsets_table_its_figure_is_left_out(archive: ClothingArchive) -> None:
    encoder = FakeEncoder()
    rows = np.eye(12, dtype=np.float32)[:2]
    head = Head.fit(np.repeat(rows, 5, axis=0), np.repeat(["Shirt", "Dress"], 5), encoder.digest, 0)
    archive.close()
    with ClothingArchive(archive.path) as plain:
        report = measure_photos(encoder, 32, head, plain, True, lambda step: None)
    assert report.ten_classes is None
    assert report.photos < 160
    assert report.counterparts.accuracy.n > 0


def test_a_counterpart_is_right_when_label_and_category_may_mean_one_garment() -> None:
    head = Head.fit(np.eye(3, dtype=np.float32).repeat(4, axis=0), np.repeat(["Coat", "Sandal", "Shirt"], 4), "d", 0)
    labels = np.array(["Shoes", "Outwear", "Blouse", "Hat", "Blazer"])
    report = metrics.counterparts(head, np.eye(3, dtype=np.float32)[[1, 0, 0, 0, 2]], labels)
    assert (report.accuracy.value, report.accuracy.n) == (0.5, 4)
    assert {name: figure.value for name, figure in report.labels.items()} == {
        "Blazer": 0.0,
        "Blouse": 0.0,
        "Outwear": 1.0,
        "Shoes": 1.0,
    }
    assert report.accuracy_of_two_guesses.value >= 0.5
