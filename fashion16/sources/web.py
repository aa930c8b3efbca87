"""A crawl: pictures fetched from the addresses in a table, politely, from many hosts and strangers' hands.

    read_url_table -> UrlRow (url, label) -> crawl -> Fetched (name, label, data, fetched_at) or Refusal

Each host is a queue that is asked one thing at a time: first for its robots.txt, then for its pictures, and between
two questions it has its pause. A worker takes the host whose pause is over, asks it once, and puts it back. So
nobody sleeps: a back-off, a `Retry-After` and a `Crawl-delay` are longer pauses, and a redirect moves its address
into another host's queue, where that host's robots.txt and pause hold for it too.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Container, Generator, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import httpx
from protego import Protego

from fashion16 import __version__
from fashion16.errors import DataError
from fashion16.sources.local_files import Refusal
from fashion16.sources.url_table import UrlRow, UrlTable, read_url_table
from fashion16.sources.web_fetch import MAX_REDIRECTS, Fetcher, TryAgain, address_fault, may_fetch, parse_address

__all__ = ["CrawlSettings", "Fetched", "UrlRow", "UrlTable", "crawl", "read_url_table"]

# scheme, name and port
Key = tuple[str, str, int]

# a longer one is a mistake, or a way to keep us out; so is asking for a longer wait
MAX_CRAWL_DELAY = 30.0
MAX_WAIT = 120.0
# pictures that a host failed to give in a row, each after all its retries; then the host counts as down
MAX_FAILURES = 5
# hosts with nothing to do whose robots.txt is remembered, because a redirect may lead to them again
MAX_IDLE_HOSTS = 200
# a worker that waits for a name server cannot be woken; it ends by itself, without doing anything more
LONGEST_FAREWELL = 2.0


@dataclass(frozen=True)
class CrawlSettings:
    """How a crawl behaves; the defaults are the recommended run. Times are in seconds.

    Attributes:
        hosts_at_once: how many hosts are asked at the same moment; as many pictures wait for the importer at most.
        pause: between the end of a request and the next one to the same host.
        timeout: without a sign of life from a server.
        deadline: for one picture, however lively the server; 60 are enough for 40 MB through 6 Mbit/s.
        retries: after the first try.
        backoff: before the first retry; it doubles with each. Three retries spread over 14 seconds.
        allow_private: whether hosts in the local network, and this machine, may be asked.
        user_agent: the name that servers see; the rules for it in a robots.txt are followed.
    """

    hosts_at_once: int = 8
    pause: float = 1.0
    timeout: float = 10.0
    deadline: float = 60.0
    retries: int = 3
    backoff: float = 2.0
    allow_private: bool = False
    user_agent: str = f"Fashion-16/{__version__}"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was found at an address; it may be a picture.

    Attributes:
        name: the address as the table has it, wherever it led to.
        label: the label in the table; None where there is none.
        data: the whole file, at most 40 MB.
        fetched_at: when it had come, as ISO 8601, in UTC.
    """

    name: str
    label: str | None
    data: bytes = field(repr=False)
    fetched_at: str

    def read(self) -> bytes:
        """The whole file. Whether it is a picture, read_photo says."""
        return self.data


def crawl(
    rows: Iterable[UrlRow], settings: CrawlSettings | None = None, known: Container[str] = frozenset()
) -> Generator[Fetched | Refusal, None, None]:
    """Fetch all `rows` but those whose address is in `known`; whatever comes first is yielded first.

    Each address gives one Fetched or one Refusal, those in `known` nothing: a crawl that was broken off goes on
    where it was when it is given what it had. To close the generator ends the crawl.
    """
    settings = settings or CrawlSettings()
    stopped = threading.Event()
    with Fetcher(
        stopped,
        timeout=settings.timeout,
        deadline=settings.deadline,
        user_agent=settings.user_agent,
        allow_private=settings.allow_private,
    ) as fetcher:
        work = _Crawl(settings, fetcher, stopped)
        for row in rows:
            if row.url in known:
                continue
            try:
                work.add(_Task(row, parse_address(row.url)))
            except DataError as error:
                yield Refusal(row.url, str(error))
        n_workers = max(1, min(settings.hosts_at_once, work.n_open))
        workers = [threading.Thread(target=work.run, name=f"crawl-{n}", daemon=True) for n in range(n_workers)]
        try:
            for worker in workers:
                worker.start()
            while (outcome := work.next_outcome()) is not None:
                yield outcome
        finally:
            work.stop()
            end = time.monotonic() + LONGEST_FAREWELL
            for worker in workers:
                # one that could not be started cannot be joined
                if worker.ident is not None:
                    worker.join(max(0.0, end - time.monotonic()))


@dataclass(slots=True)
class _Task:
    """An address on its way: where it has led to, which addresses it has passed, how often the last one failed."""

    row: UrlRow
    url: httpx.URL
    passed: tuple[httpx.URL, ...] = ()
    n_tries: int = 0


@dataclass(slots=True, eq=False)
class _Host:
    """A host's queue, and what is known of it. Only the worker that has taken the host changes more than its tasks."""

    key: Key
    pause: float
    tasks: deque[_Task] = field(default_factory=deque)
    rules: Protego | None = None
    refused: str = ""
    ready_at: float = 0.0
    n_tries: int = 0
    n_failures: int = 0


class _Crawl:
    """The hosts, and the workers' ways to them. All that several threads touch is under `_changed`."""

    def __init__(self, settings: CrawlSettings, fetcher: Fetcher, stopped: threading.Event) -> None:
        self.n_open = 0
        self._settings, self._fetcher, self._stopped = settings, fetcher, stopped
        self._changed = threading.Condition()
        self._hosts: dict[Key, _Host] = {}
        # not asked yet; waiting for the end of their pause, with a number that keeps their order; without tasks
        self._fresh: deque[_Host] = deque()
        self._pausing: list[tuple[float, int, _Host]] = []
        self._idle: OrderedDict[Key, _Host] = OrderedDict()
        self._turn = itertools.count()
        self._outcomes: deque[Fetched | Refusal] = deque()
        self._failure: BaseException | None = None

    def add(self, task: _Task) -> None:
        """Take up a new task."""
        self.n_open += 1
        key = _key(task.url)
        if key not in self._hosts:
            self._hosts[key] = _Host(key, self._settings.pause)
            self._fresh.append(self._hosts[key])
        self._hosts[key].tasks.append(task)

    def next_outcome(self) -> Fetched | Refusal | None:
        """Wait for the next outcome; None where there is no other."""
        with self._changed:
            while not self._outcomes and self.n_open and not self._failure:
                # not for ever: on some systems nothing else lets Ctrl-C through
                self._changed.wait(1.0)
            if self._failure:
                raise self._failure
            self._changed.notify_all()
            return self._outcomes.popleft() if self._outcomes else None

    def stop(self) -> None:
        """Send the workers home."""
        with self._changed:
            self._stopped.set()
            self._changed.notify_all()

    def run(self) -> None:
        """A worker's day."""
        try:
            while (host := self._take()) is not None:
                pause = self._ask(host)
                with self._changed:
                    host.ready_at = time.monotonic() + pause
                    self._put_back(host)
        # a mistake of ours: not this thread but whoever reads the outcomes has to hear of it
        except BaseException as error:
            with self._changed:
                self._failure = error
                self._changed.notify_all()

    def _take(self) -> _Host | None:
        """The host whose turn it is: one under way whose pause is over, else one that was not asked yet."""
        with self._changed:
            while self.n_open and not self._stopped.is_set():
                left = self._pausing[0][0] - time.monotonic() if self._pausing else None
                if left is not None and left <= 0:
                    return heapq.heappop(self._pausing)[-1]
                if self._fresh:
                    return self._fresh.popleft()
                self._changed.wait(left)
        return None

    def _put_back(self, host: _Host) -> None:
        if host.tasks:
            heapq.heappush(self._pausing, (host.ready_at, next(self._turn), host))
        else:
            self._idle[host.key] = host
            if len(self._idle) > MAX_IDLE_HOSTS:
                del self._hosts[self._idle.popitem(last=False)[0]]
        self._changed.notify_all()

    def _ask(self, host: _Host) -> float:
        """One request to `host`, or a task that needs none; how long it may not be asked again then."""
        if host.rules is None and not host.refused:
            return self._ask_rules(host)
        task = host.tasks.popleft()
        reason = host.refused
        if host.rules is not None and not may_fetch(host.rules, task.url, self._settings.user_agent):
            reason = "The site's robots.txt asks crawlers not to fetch this."
        if reason:
            self._finish(Refusal(task.row.url, reason))
            return 0.0
        try:
            found = self._fetcher.picture(task.url)
        except TryAgain as error:
            task.n_tries += 1
            if task.n_tries <= self._settings.retries:
                host.tasks.appendleft(task)
                return self._wait(host, task.n_tries, error)
            host.n_failures += 1
            if host.n_failures >= MAX_FAILURES:
                host.refused = f"The server failed {MAX_FAILURES} times in a row, and was not asked again."
            self._finish(Refusal(task.row.url, str(error)))
            return max(host.pause, min(error.wait, MAX_WAIT))
        except DataError as error:
            self._finish(Refusal(task.row.url, str(error)))
        else:
            if isinstance(found, httpx.URL):
                self._lead_on(task, found)
            else:
                now = datetime.now(UTC).isoformat(timespec="seconds")
                self._finish(Fetched(task.row.url, task.row.label, found, now))
        host.n_failures = 0
        return host.pause

    def _ask_rules(self, host: _Host) -> float:
        try:
            host.rules = self._fetcher.robots(host.tasks[0].url)
            delay = host.rules.crawl_delay(self._settings.user_agent) or 0.0
            host.pause = max(host.pause, min(delay, MAX_CRAWL_DELAY))
        except TryAgain as error:
            host.n_tries += 1
            if host.n_tries <= self._settings.retries:
                return self._wait(host, host.n_tries, error)
            host.refused = str(error)
        except DataError as error:
            host.refused = str(error)
        return host.pause

    def _wait(self, host: _Host, n_tries: int, error: TryAgain) -> float:
        # not all at the same moment, where several hosts are one machine
        backoff = self._settings.backoff * 2.0 ** (n_tries - 1) * random.uniform(0.75, 1.25)
        return max(host.pause, min(max(backoff, error.wait), MAX_WAIT))

    def _lead_on(self, task: _Task, url: httpx.URL) -> None:
        """Move `task` into the queue of the host that it has been led to."""
        task.passed += (task.url,)
        fault = address_fault(url)
        if url in task.passed:
            fault = "The address leads in a circle."
        elif len(task.passed) > MAX_REDIRECTS:
            fault = f"The address leads on more than {MAX_REDIRECTS} times."
        if fault:
            self._finish(Refusal(task.row.url, fault))
            return
        task.url, key = url, _key(url)
        with self._changed:
            host = self._idle.pop(key, None)
            if key not in self._hosts:
                host = self._hosts[key] = _Host(key, self._settings.pause)
            self._hosts[key].tasks.append(task)
            # what is begun comes before hosts that were not asked yet
            if host is not None:
                self._put_back(host)

    def _finish(self, outcome: Fetched | Refusal) -> None:
        """Hand `outcome` over, once there is room: pictures wait in memory."""
        with self._changed:
            while len(self._outcomes) >= self._settings.hosts_at_once and not self._stopped.is_set():
                self._changed.wait()
            self._outcomes.append(outcome)
            self.n_open -= 1
            self._changed.notify_all()


def _key(url: httpx.URL) -> Key:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)
