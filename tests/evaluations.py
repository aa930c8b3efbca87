"""An evaluation of the small workspace, made of its stored embeddings, without a pass of the network."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, replace

import pandas as pd
import sqlalchemy as sa

from fashion16.collections.layout import DEFAULT_COLLECTION
from fashion16.collections.workspace import Workspace
from fashion16.estimate import Figure
from fashion16.evaluation import metrics
from fashion16.evaluation import report as quality
from fashion16.evaluation.figures import (
    BothWays,
    CopiesFound,
    Evaluation,
    FewLabels,
    IndexRecall,
    Retrieval,
    Speed,
    StepTime,
)

NAME = DEFAULT_COLLECTION
FEW = {"test": 100_000, "retrieval": 20, "instances": 20, "recall": 20, "speed": 5}  # pictures for each figure


def publish_tests(workspace: Workspace) -> None:
    """The small workspace has none of the published test pictures: take every eighth for one."""
    engine = sa.create_engine(f"sqlite:///{workspace.collection(NAME).data_folder / 'catalogue.sqlite'}")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE items SET split = 'test' WHERE id % 8 = 0"))
    engine.dispose()


def evaluate(workspace: Workspace, with_pictures: bool = True, split: str = "test") -> pd.DataFrame:
    """Write evaluation.json, and predictions.parquet `with_pictures`; returns the predictions."""
    opened = workspace.open(NAME)
    today, head = opened.catalogue.labels(), opened.searcher.head
    probabilities = head.probabilities(opened.searcher.index.embeddings(today.ids))
    predicted = metrics.predictions(probabilities, today.ids, today.labels, head.categories)
    # a mistake that is there in any case, and a cell with no pictures at all
    predicted.loc[predicted.index[predicted["label"] == "Bag"][:3], "predicted"] = "Shirt"
    figure = Figure(0.9, 0.88, 0.92, 400)
    names = list(head.categories)
    counts = pd.crosstab(predicted["label"], predicted["predicted"]).reindex(index=names, columns=names, fill_value=0)
    classification = metrics.classification(probabilities, today.labels, names)
    report = Evaluation(
        measured_at="2026-11-23T16:53:28+00:00",
        encoder_digest=opened.searcher.encoder.digest,
        head_digest=hashlib.sha256(workspace.collection(NAME).head_file.read_bytes()).hexdigest(),
        label_revision=today.revision,
        items=opened.catalogue.count(),
        index_facts=quality.index_facts(opened.searcher.index),
        split=split,
        categories=names,
        classification=replace(classification, confusion=counts.to_numpy().tolist()),
        retrieval=BothWays(Retrieval(figure, figure), Retrieval(figure, figure)),
        instances=BothWays(CopiesFound(figure, figure), CopiesFound(figure, figure)),
        index=[IndexRecall(bits, probes, figure, 40.0) for bits, probes in ((512, 1), (512, None), (64, None))],
        few_labels=[FewLabels(n, figure) for n in (10, 50)],
        speed=Speed(*[StepTime(2.0, 3.0)] * 4, StepTime(8.0, 12.0), 20, 2, "x86_64"),
    )
    opened.close()
    if with_pictures:
        path = workspace.collection(NAME).predictions_file
        predicted.to_parquet(path, index=False)
        report = replace(report, predictions_digest=hashlib.sha256(path.read_bytes()).hexdigest())
    workspace.collection(NAME).evaluation_file.write_text(json.dumps(asdict(report)))
    return predicted
