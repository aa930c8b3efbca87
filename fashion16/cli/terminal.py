"""What commands print on: results, errors, and a bar for everything that takes over a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from fashion16.jobs import Reporter

console = Console()
errors = Console(stderr=True)
reporter = Reporter()


class RateColumn(ProgressColumn):
    """Pictures a second."""

    def render(self, task: Task) -> Text:
        """The rate of a task that counts pictures."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} pictures/s" if speed and task.fields.get("rate") else "")


def bar() -> Progress:
    """A bar with a name, a count and the time left, among the errors so that results can be piped."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), RateColumn(), TimeRemainingColumn())
    return Progress(*columns, console=errors)


@contextmanager
def progress_bar(what: str, rate: bool = False) -> Iterator[Callable[[int, int], None]]:
    """A bar for the block, which is given a function of what is done and of the total.

    Args:
        rate: show how many pictures are done in a second.
    """
    with bar() as shown:
        task = shown.add_task(what, total=None, rate=rate)

        def report(done: int, total: int) -> None:
            shown.update(task, completed=done, total=total)
            reporter.progress(what, done, total)

        yield report


class Steps:
    """A bar for work of several steps, the present one of which it names; the page that started it is informed too."""

    def __init__(self, shown: Progress) -> None:
        self._shown, self._task, self._step = shown, shown.add_task("", total=None), ""

    def begin(self, step: str) -> None:
        """A step begins, and nothing of it is done yet."""
        self._step = step[:1].upper() + step[1:]
        self._shown.reset(self._task, total=None, description=self._step)
        reporter.progress(self._step, 0, 0)

    def progress(self, done: int, total: int) -> None:
        """How much of the step is done."""
        self._shown.update(self._task, completed=done, total=total)
        reporter.progress(self._step, done, total)
