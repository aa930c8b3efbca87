"""Results of long measurements, kept as JSON with what they were measured on, so that none is made twice."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any, Generic, TypeVar

import msgspec
import numpy as np

from fashion16.files.atomic import replacing

T = TypeVar("T")


@dataclass(frozen=True)
class Kept(Generic[T]):
    """What a measurement found, how many seconds it took, and when it was made (ISO 8601, UTC)."""

    result: T
    seconds: float
    measured_at: str


def kept(path: Path, key: Mapping[str, object], make: Callable[[], T], kind: type[T]) -> Kept[T]:
    """What lies at `path`, where it was measured on the same, else what `make` finds, written there.

    Args:
        key: what it is measured on, in JSON's types.
        make: measures; of dicts, lists, strings, numbers, numpy's numbers and dataclasses of these.
        kind: of the result, as msgspec reads it from JSON.

    Raises:
        WorkspaceError: the folder may not be written, or the disk is full.
    """
    key = json.loads(json.dumps(key))
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if found["key"] == key:
            return Kept(msgspec.convert(found["result"], kind), float(found["seconds"]), str(found["measured_at"]))
    except (OSError, ValueError, KeyError, TypeError, msgspec.ValidationError):
        pass  # not there, or of another version
    began = perf_counter()
    result = plain(make())
    seconds, now = round(perf_counter() - began, 1), datetime.now(UTC).isoformat(timespec="seconds")
    made = Kept(msgspec.convert(result, kind), seconds, now)
    with replacing(path) as partial:
        partial.write_text(json.dumps({"key": key, **vars(made), "result": result}, indent=1) + "\n", encoding="utf-8")
    return made


def plain(report: Any) -> Any:
    """The same in JSON's types, its numbers to six digits."""
    return json.loads(json.dumps(report, default=_as_json), parse_float=lambda text: float(f"{float(text):.6g}"))


def _as_json(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value)} has no place in a report")
