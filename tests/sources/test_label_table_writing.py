"""A table changes in the cells of the labels that were asked for, and in no other byte."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fashion16.errors import DataError
from fashion16.sources.label_table import LabelTable
from fashion16.sources.label_table_writing import relabel


def test_a_row_that_is_too_short_gets_its_separators_and_a_column_must_be_there(tmp_path: Path) -> None:
    table, data = LabelTable("t.csv", tmp_path), b"file;more;label\r\na.png\r\n\r\n;;\r\nb.png;x"
    assert relabel(table, data, lambda row: "Hat") == (
        b"file;more;label\r\na.png;;Hat\r\n\r\n;;\r\nb.png;x;Hat",
        2,
    )
    for options, reason in (
        ({"needs_label": False}, "no column of labels"),
        ({"label_column": "file"}, "in one column"),
    ):
        with pytest.raises(DataError, match=reason):
            relabel(LabelTable("t.csv", tmp_path, **options), b"file\na.png\n", lambda row: "Hat")  # type: ignore[arg-type]


def written_as(cell: str, separator: str, is_quoted: bool) -> str:
    needs = any(character in cell for character in (separator, '"', "\r", "\n"))
    return '"' + cell.replace('"', '""') + '"' if is_quoted or needs else cell


CELLS = st.text(st.sampled_from("ab ,;\t\"'\r\n=é\u2028"), max_size=6)


@given(st.data())
@settings(deadline=None, max_examples=100)
def test_a_table_in_any_manner_changes_in_the_named_cells_alone(data: st.DataObject) -> None:
    draw, separator = data.draw, data.draw(st.sampled_from([",", ";", "\t"]))
    ends, is_quoted = st.sampled_from(["\n", "\r\n", "\r", "\n\n"]), st.booleans()
    old = draw(st.lists(CELLS, min_size=1, max_size=4))

    def line(*cells: str) -> str:
        return separator.join(written_as(cell, separator, draw(is_quoted)) for cell in cells)

    cells = [written_as(label, separator, draw(is_quoted)) for label in old]
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "latin-1"]))
    # all that is no cell of a label; without its É a file in Latin-1 may be one in UTF-8 as well
    between = [line("NOTÉ", "file", "label", "more") + draw(ends)]
    for number in range(len(old)):
        between[-1] += line(draw(CELLS), f"{number}.png") + separator
        between.append(draw(st.sampled_from(["", separator + "x", separator + '"\n"', 2 * separator])))
        between[-1] += draw(ends) if number < len(old) - 1 else draw(st.sampled_from(["", "\r\n"]))

    def table_of(cells: list[str]) -> bytes:
        return "".join(part for pair in zip(between, [*cells, ""], strict=True) for part in pair).encode(encoding)

    try:
        there = table_of(cells)
    except UnicodeEncodeError:  # Latin-1 has not every character
        return
    table = LabelTable("t.csv", Path("t.csv"))
    assert relabel(table, there, lambda row: None) == relabel(table, there, lambda row: row.label) == (there, 0)
    wanted = {f"{number}.png": draw(CELLS) for number in range(len(old)) if draw(st.booleans())}
    expected, n = list(cells), 0
    for number, label in enumerate(old):
        if (new := wanted.get(f"{number}.png", label)).strip() != label.strip():
            expected[number] = written_as(new, separator, cells[number].startswith('"'))
            n += 1
    try:
        assert relabel(table, there, lambda row: wanted.get(row.file)) == (table_of(expected), n)
    except DataError:
        assert encoding == "latin-1"  # the new bytes may look like UTF-8, too
