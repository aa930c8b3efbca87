"""Checks that the requirements files agree with pyproject.toml. `make check` runs it.

The ranges in pyproject.toml are compared with the pins for every supported Python and system. What the pinned packages
require in turn is read from the installed packages, so it is checked for this Python and system only. No package index
is asked: a new release cannot make this check fail.
"""

import itertools
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from packaging.markers import Marker, default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

# each file, and the extras and dependency groups that it contains
FILES: dict[str, tuple[str, ...]] = {
    "requirements.txt": (),
    "requirements-train.txt": ("train", "experiments"),
    "requirements-dev.txt": ("train", "experiments", "postgres", "dev"),
}
LARGEST = "requirements-dev.txt"

Environment = dict[str, str]  # the values of markers such as sys_platform
HERE: Environment = {key: str(value) for key, value in default_environment().items()}
PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = (
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "aarch64"},
    {"sys_platform": "darwin", "platform_system": "Darwin", "os_name": "posix", "platform_machine": "arm64"},
    {"sys_platform": "win32", "platform_system": "Windows", "os_name": "nt", "platform_machine": "AMD64"},
)
SUPPORTED: list[Environment] = [
    HERE | {"python_version": python, "python_full_version": f"{python}.9"} | system
    for python, system in itertools.product(PYTHONS, SYSTEMS)
]


class Pin(NamedTuple):
    name: str
    version: str
    marker: Marker | None


def applies(marker: Marker | None, environment: Environment, extra: str = "") -> bool:
    return marker is None or marker.evaluate(environment | {"extra": extra})


def read_pins(file: str) -> list[Pin]:
    pins = []
    for line in Path(file).read_text(encoding="utf-8").splitlines():
        text = line.partition("#")[0].strip()
        if not text:
            continue
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            sys.exit(f"{file}: {text!r} is not a package and its version. Run: make lock")
        exact = [each.version for each in requirement.specifier if each.operator == "==" and "*" not in each.version]
        if len(exact) != 1 or len(requirement.specifier) != 1:
            sys.exit(f"{file}: {text!r} does not name one exact version. Run: make lock")
        pins.append(Pin(canonicalize_name(requirement.name), exact[0], requirement.marker))
    return pins


def mismatch(file: str, pins: list[Pin], requirement: Requirement, source: str, environment: Environment) -> str | None:
    """A sentence on why the pins do not meet the requirement of `source`; None where they do."""
    name = canonicalize_name(requirement.name)
    versions = [pin.version for pin in pins if pin.name == name and applies(pin.marker, environment)]
    system = "Python {python_version} on {sys_platform} {platform_machine}".format_map(environment)
    if not versions:
        return f"{file} has no {name} for {system}, but {source} requires it"
    if len(versions) > 1:
        return f"{file} has {name} more than once for {system}: {', '.join(versions)}"
    if not requirement.specifier.contains(versions[0], prereleases=True):
        return f"{file} has {name} {versions[0]}, but {source} requires {name}{requirement.specifier}"
    return None


def direct_mismatches(file: str, pins: list[Pin], direct: list[Requirement]) -> Iterator[str]:
    """What pyproject.toml itself requires. One sentence for each requirement: the first environment stands for all."""
    for requirement in direct:
        environments = [each for each in SUPPORTED if applies(requirement.marker, each)]
        found = (mismatch(file, pins, requirement, "pyproject.toml", each) for each in environments)
        yield from itertools.islice(filter(None, found), 1)


def indirect_mismatches(file: str, pins: list[Pin], direct: list[Requirement]) -> Iterator[str]:
    """What the pinned packages require in turn, and pins that nothing requires."""
    visited: set[tuple[str, str]] = set()
    waiting = [(requirement, "pyproject.toml") for requirement in direct if applies(requirement.marker, HERE)]
    while waiting:
        requirement, source = waiting.pop()
        if problem := mismatch(file, pins, requirement, source, HERE):
            yield problem
            continue
        name = canonicalize_name(requirement.name)
        try:
            needs = [Requirement(text) for text in metadata.requires(name) or ()]
        except metadata.PackageNotFoundError:
            yield f"{file} has {name}, but it is not installed here, so what it requires in turn is unknown"
            needs = []
        for extra in {"", *requirement.extras}:
            if (name, extra) not in visited:
                visited.add((name, extra))
                waiting += [(need, name) for need in needs if applies(need.marker, HERE, extra)]
    required = {name for name, _ in visited}
    for surplus in sorted({pin.name for pin in pins if applies(pin.marker, HERE)} - required):
        yield f"{file} has {surplus}, but nothing requires it"


def problems() -> Iterator[str]:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    sets: dict[str, list[str]] = project["project"]["optional-dependencies"] | project["dependency-groups"]
    if differing := sorted(sets.keys() ^ set(FILES[LARGEST])):
        sys.exit(f"Only one of pyproject.toml and .ci/pins.py names this extra or group: {', '.join(differing)}")
    versions = {pin.name: pin.version for pin in read_pins(LARGEST)}
    for file, parts in FILES.items():
        pins = read_pins(file)
        for name, version, _ in pins:
            if version != (other := versions.get(name)):
                yield f"{file} has {name} {version}, but {LARGEST} has {other or 'none'}"
        texts = project["project"]["dependencies"] + [text for part in parts for text in sets[part]]
        direct = [Requirement(text) for text in texts]
        # the second check assumes that the first one found nothing
        yield from list(direct_mismatches(file, pins, direct)) or indirect_mismatches(file, pins, direct)


if __name__ == "__main__":
    if found := list(dict.fromkeys(problems())):
        sys.exit("\n".join([*found, "The requirements files do not agree with pyproject.toml. Run: make lock"]))
