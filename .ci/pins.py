"""Whether the requirements files fit pyproject.toml. `make check` runs it where requirements-dev.txt is installed.

It asks no registry, so that a new release cannot make it fail. The ranges of pyproject.toml are compared with the pins
for every system we name; what those packages need in turn is read from what is installed, and so for this system only.
"""

import itertools
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILES: dict[str, tuple[str, ...]] = {  # and the extras and groups that each is made of
    "requirements.txt": (),
    "requirements-train.txt": ("train", "experiments"),
    "requirements-dev.txt": ("train", "experiments", "postgres", "dev"),
}
PYTHONS = ("3.11", "3.12", "3.13")
SYSTEMS = (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("win32", "AMD64"))
HERE = {key: str(value) for key, value in default_environment().items()}


def environments() -> Iterator[dict[str, str]]:
    for python, (system, machine) in itertools.product(PYTHONS, SYSTEMS):
        there = {"sys_platform": system, "platform_machine": machine}
        there["platform_system"] = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}[system]
        there["os_name"] = "nt" if system == "win32" else "posix"
        yield HERE | {"python_version": python, "python_full_version": f"{python}.9"} | there


def applies(requirement: Requirement, where: dict[str, str], extra: str = "") -> bool:
    return requirement.marker is None or requirement.marker.evaluate(where | {"extra": extra})


def pins(file: str) -> list[Requirement]:
    lines = Path(file).read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if line and not line.startswith(("#", " "))]


def version(pin: Requirement) -> str:
    return str(pin.specifier).removeprefix("==")


def unfit(file: str, asked: Requirement, by: str, where: dict[str, str], found: list[Requirement]) -> str | None:
    """What is wrong with how the file's pins answer a requirement on one system, if anything."""
    name = canonicalize_name(asked.name)
    fitting = [pin for pin in found if canonicalize_name(pin.name) == name and applies(pin, where)]
    if len(fitting) != 1:
        system = f"Python {where['python_version']} on {where['sys_platform']} {where['platform_machine']}"
        return f"{file} has {len(fitting) or 'no'} pins of {name} for {system}, and {by} asks for one"
    if not asked.specifier.contains(version(fitting[0]), prereleases=True):
        return f"{file} has {name} {version(fitting[0])}, and {by} asks for {name}{asked.specifier}"
    return None


def problems(file: str, asked: list[Requirement]) -> list[str]:
    found = pins(file)
    said = [
        unfit(file, requirement, "pyproject.toml", where, found)
        for requirement in asked
        for where in environments()
        if applies(requirement, where)
    ]
    if wrong := [problem for problem in said if problem]:
        return wrong
    # what these need in turn, as the installed packages say
    reached: set[tuple[str, str]] = set()
    waiting = [(requirement, "pyproject.toml") for requirement in asked if applies(requirement, HERE)]
    while waiting:
        requirement, by = waiting.pop()
        if problem := unfit(file, requirement, by, HERE, found):
            wrong.append(problem)
            continue
        name = canonicalize_name(requirement.name)
        for extra in {"", *requirement.extras}:
            if (name, extra) not in reached:
                reached.add((name, extra))
                needs = [Requirement(text) for text in metadata.requires(name) or ()]
                waiting += [(need, name) for need in needs if applies(need, HERE, extra)]
    needed = {name for name, _ in reached}
    surplus = {canonicalize_name(pin.name) for pin in found if applies(pin, HERE)} - needed
    return wrong + [f"{file} has {name}, which nothing asks for" for name in sorted(surplus)]


def main() -> str | None:
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))
    sets = project["project"]["optional-dependencies"] | project["dependency-groups"]
    wrong, tested = [], {(pin.name, version(pin)) for pin in pins("requirements-dev.txt")}
    for file, parts in FILES.items():
        texts = project["project"]["dependencies"] + [text for part in parts for text in sets[part]]
        wrong += problems(file, [Requirement(text) for text in texts])
        other = {(pin.name, version(pin)) for pin in pins(file)} - tested
        wrong += [f"{file} has {name} {release}, and requirements-dev.txt has not" for name, release in sorted(other)]
    if unnamed := set(sets) - set(FILES["requirements-dev.txt"]):
        wrong.append(f"no requirements file has what pyproject.toml lists under {', '.join(sorted(unnamed))}")
    if not wrong:
        return None
    return "\n".join([*dict.fromkeys(wrong), "The requirements files do not fit pyproject.toml. Run: make lock"])


if __name__ == "__main__":
    sys.exit(main())
