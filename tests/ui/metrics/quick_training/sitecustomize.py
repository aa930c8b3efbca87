"""A training that reports epochs and learns nothing, for what the Metrics page does with it.

Python imports this module by itself where its folder is on PYTHONPATH. `test_train_command.py` starts the real one.
"""

from __future__ import annotations

import sys

if "category-cnn" in sys.orig_argv:
    import time
    from dataclasses import asdict
    from pathlib import Path

    import numpy as np
    import pandas as pd

    from fashion16.files.atomic import replacing
    from fashion16.training import category_training
    from fashion16.training.data import LabelledPictures
    from fashion16.training.fitting import Report
    from fashion16.training.run_settings import CATEGORY_CNN, CategorySettings
    from fashion16.training.runs import Progress, Run

    SECONDS = 0.2  # an epoch

    def train(
        data: LabelledPictures, runs: Path, settings: CategorySettings, fresh: bool, report: Report
    ) -> Run:  # as train_category_cnn
        facts = {"categories": np.unique(data.labels).tolist(), "label_revision": data.revision}
        run = Run.begin(runs, CATEGORY_CNN, asdict(settings) | facts, fresh)
        with run.held():
            rows = run.history().to_dict("records")
            for epoch in range(len(rows), settings.epochs):
                time.sleep(SECONDS)
                loss = 2 / (epoch + 2)
                figures = {"accuracy": 1 - loss / 2, "learning_rate": 1e-3, "loss": loss, "seconds": SECONDS}
                figures |= {"val_accuracy": 1 - loss / 2, "val_loss": loss}
                rows.append({"epoch": epoch, **figures})
                with replacing(run.history_file) as partial:  # whoever stops it finds a whole file
                    pd.DataFrame(rows).to_csv(partial, index=False)
                run.note_progress(Progress(epoch, 1.0, settings.epochs, SECONDS * len(rows), figures))
                report(epoch, 1.0, figures)
            run.finish(
                {
                    "test_accuracy": 0.5,
                    "test_pictures": int((data.splits == "test").sum()),
                    "best_epoch": len(rows),
                    "seconds": SECONDS * len(rows),
                }
            )
        return run

    category_training.train_category_cnn = train  # type: ignore[assignment]
