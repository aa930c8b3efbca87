"""What a page shows, as a table to take away."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from fashion16.files import spreadsheets


def csv_button(frame: pd.DataFrame, name: str, key: str) -> None:
    """A button that downloads the table as CSV, under this name without its ending."""
    st.download_button(
        "CSV", as_csv(frame), file_name=f"{name}.csv", mime="text/csv", icon=":material/download:", key=key,
        on_click="ignore", type="tertiary", help=f"{name}.csv",
    )  # fmt: skip


def as_csv(frame: pd.DataFrame) -> str:
    """The table as CSV whose text no spreadsheet runs."""
    safe = frame.rename(columns=lambda column: spreadsheets.safe(str(column)))
    for column in safe.columns[[not pd.api.types.is_numeric_dtype(kind) for kind in safe.dtypes]]:
        safe[column] = safe[column].map(lambda cell: spreadsheets.safe(cell) if isinstance(cell, str) else cell)
    return safe.to_csv(index=False)
