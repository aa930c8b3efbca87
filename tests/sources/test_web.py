"""A crawl against real servers on loopback, most of them ill-behaved: each address is one picture or one sentence."""

from __future__ import annotations

import email.utils
import gzip
import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pandas as pd
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from fashion16.errors import DamagedDataError, DataError, MissingDataError
from fashion16.images import encode_jpeg, read_photo
from fashion16.sources.local_files import Refusal
from fashion16.sources.web import CrawlSettings, Fetched, UrlRow, crawl, read_url_table
from fashion16.sources.web_fetch import BROKE_OFF, WEB_PAGE, parse_address
from fashion16.sources.web_safety import BAD_CERTIFICATE, NO_SUCH_NAME, PRIVATE, SafeTransport, is_public

JPEG = encode_jpeg(np.full((16, 16, 3), 90, np.uint8), 16)
TOO_SLOW = "The server did not answer in time, or was too slow."
FORBIDDEN = "The site's robots.txt asks crawlers not to fetch this."
# quick, and for loopback; patient all the same, so that a busy machine fails no test
QUICK = {"pause": 0.0, "backoff": 0.01, "timeout": 10.0, "deadline": 20.0, "retries": 2, "allow_private": True}

Answer = Callable[["Visit"], None]


class Visit(BaseHTTPRequestHandler):
    """One request to a `Site`; its answer says what to do."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Site

    def do_GET(self) -> None:
        site = self.server
        with site.lock:
            site.visits.append((self.path, time.monotonic(), dict(self.headers)))
            site.n_now += 1
            site.most_at_once = max(site.most_at_once, site.n_now)
        # before the last byte is sent: after it the crawler may be here again
        try:
            site.answers.get(self.path, nothing)(self)
        except OSError:
            self.close_connection = True

    def left(self) -> None:
        with self.server.lock:
            self.server.n_now -= 1

    def give(self, body: bytes = JPEG, code: int = 200, **headers: str) -> None:
        """A whole answer; `_` in a header's name is a hyphen."""
        self.left()
        self.start(code, **{"Content_Type": "image/jpeg", "Content_Length": str(len(body))} | headers)
        self.wfile.write(body)

    def start(self, code: int = 200, **headers: str) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Site(ThreadingHTTPServer):
    """A server on loopback. Each of its paths has an answer; the others, robots.txt too, have none: 404."""

    daemon_threads = True

    def __init__(self, **answers: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Visit)
        self.answers = {f"/{path}": answer for path, answer in answers.items()}
        self.visits: list[tuple[str, float, dict[str, str]]] = []
        self.lock, self.closing = threading.Lock(), threading.Event()
        self.n_now = self.most_at_once = 0
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))
        self.thread.start()

    def robots(self, text: str, code: int = 200) -> Site:
        self.answers["/robots.txt"] = lambda visit: visit.give(text.encode(), code, Content_Type="text/plain")
        return self

    @property
    def paths(self) -> list[str]:
        """What was asked for, without the robots.txt."""
        return [path for path, _, _ in self.visits if path != "/robots.txt"]

    def gaps(self) -> list[float]:
        """The seconds between each request and the next."""
        times = [moment for _, moment, _ in self.visits]
        return [later - earlier for earlier, later in zip(times, times[1:], strict=False)]

    def handle_error(self, *_: Any) -> None:
        """Crawlers hang up."""

    def __exit__(self, *_: Any) -> None:
        self.closing.set()
        self.shutdown()
        self.thread.join()
        self.server_close()


def nothing(visit: Visit) -> None:
    visit.give(b"", 404)


def picture(visit: Visit) -> None:
    visit.give()


def to(url: str, code: int = 302) -> Answer:
    return lambda visit: visit.give(b"", code, Location=url)


def coded(code: int, **headers: str) -> Answer:
    return lambda visit: visit.give(b"", code, **headers)


def typed(kind: str, body: bytes = JPEG) -> Answer:
    return lambda visit: visit.give(body, Content_Type=kind)


def in_turn(*answers: Answer) -> Answer:
    """Another answer each time; the last one for ever."""
    left = list(answers)
    return lambda visit: (left.pop(0) if len(left) > 1 else left[0])(visit)


def silent(visit: Visit) -> None:
    visit.server.closing.wait(30)
    visit.close_connection = True


def break_off(visit: Visit) -> None:
    visit.left()
    visit.start(Content_Length=str(len(JPEG)))
    visit.wfile.write(JPEG[:-1])
    visit.close_connection = True


def drip(visit: Visit) -> None:
    visit.start(Content_Length="10000")
    while not visit.server.closing.wait(0.02):
        visit.wfile.write(b"x")


def drip_headers(visit: Visit) -> None:
    visit.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not visit.server.closing.wait(0.02):
        visit.wfile.write(b"x")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site(**{"a.jpg": picture}) as site:
        yield site


def run(*urls: str, known: frozenset[str] = frozenset(), **options: Any) -> dict[str, Fetched | Refusal]:
    """What each address gave. All workers have ended."""
    settings = CrawlSettings(**QUICK | options)
    found = list(crawl([UrlRow(url, "Hat") for url in urls], settings, known))
    assert Counter(each.name for each in found) == Counter(url for url in urls if url not in known)
    assert no_workers()
    return {each.name: each for each in found}


def reason(url: str, **options: Any) -> str:
    """Why the address was refused."""
    outcome = run(url, **options)[url]
    assert isinstance(outcome, Refusal)
    assert outcome.reason.endswith(".") and "\n" not in outcome.reason
    return outcome.reason


def fetched(url: str, **options: Any) -> bytes:
    outcome = run(url, **options)[url]
    assert isinstance(outcome, Fetched), outcome
    return outcome.read()


def no_workers() -> bool:
    return not any(thread.name.startswith("crawl-") for thread in threading.enumerate())


def name_servers(monkeypatch: pytest.MonkeyPatch, addresses: dict[str, list[str]]) -> Counter[str]:
    """Names and the addresses that they have one after the other; how often each was asked for."""
    asked: Counter[str] = Counter()
    real = socket.getaddrinfo

    def fake(host: str, *rest: Any, **options: Any) -> Any:
        if host not in addresses:
            # Python itself refuses an empty label
            assert host[0] == "." or not host[-1].isalpha() or host == "localhost", (
                "a test must not ask a real name server"
            )
            return real(host, *rest, **options)
        asked[host] += 1
        found = addresses[host][min(asked[host], len(addresses[host])) - 1]
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return real(found, *rest, **options)

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    return asked


# what comes out


def test_a_picture_comes_with_its_address_its_label_and_the_time(site: Site) -> None:
    url = f"{site.url}/a.jpg"
    before = datetime.now(UTC).replace(microsecond=0)
    (found,) = crawl([UrlRow(url, "Hat")], CrawlSettings(**QUICK))
    assert isinstance(found, Fetched)
    assert (found.name, found.label, found.read()) == (url, "Hat", JPEG)
    assert read_photo(found.data).shape == (16, 16, 3)
    assert found.fetched_at.endswith("+00:00") and len(found.fetched_at) == 25
    assert before <= datetime.fromisoformat(found.fetched_at) <= datetime.now(UTC)


def test_each_address_gives_one_outcome_whatever_its_server_does() -> None:
    answers: dict[str, Answer] = {f"{n}.jpg": picture for n in range(10)}
    answers |= {"gone": coded(404), "busy": in_turn(coded(503), picture), "broken": break_off}
    answers |= {"on": to("/0.jpg"), "round": to("/round"), "page": typed("text/html"), "denied": coded(403)}
    with ExitStack() as stack:
        sites = [stack.enter_context(Site(**answers)) for _ in range(3)]
        found = run(*(f"{site.url}/{path}" for site in sites for path in answers), "no address", hosts_at_once=2)
    kinds = Counter((url.rpartition("/")[2], type(each)) for url, each in found.items())
    good = {*(f"{n}.jpg" for n in range(10)), "busy", "on"}
    assert kinds == {
        **{(path, Fetched): 3 for path in good},
        **{(path, Refusal): 3 for path in answers.keys() - good},
        ("no address", Refusal): 1,
    }


def test_known_addresses_are_not_asked_for(site: Site) -> None:
    known = frozenset({f"{site.url}/known.jpg", "no address"})
    found = run(f"{site.url}/known.jpg", f"{site.url}/a.jpg", "no address", known=known)
    assert list(found) == [f"{site.url}/a.jpg"]
    assert site.paths == ["/a.jpg"]
    assert run(f"{site.url}/known.jpg", known=known) == {}
    assert run() == {}


def test_a_server_learns_who_asks_and_gets_no_cookie_back() -> None:
    with Site(a=lambda visit: visit.give(Set_Cookie="id=7"), b=picture) as site:
        run(f"{site.url}/a", f"{site.url}/b")
        for _, _, headers in site.visits:
            assert headers["User-Agent"].startswith("Fashion-16/")
            assert headers["Accept-Encoding"] == "identity"
            assert not {"Cookie", "Authorization", "Referer"} & set(headers)


def test_a_proxy_in_the_environment_is_not_used(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert fetched(f"{site.url}/a.jpg") == JPEG


def test_a_part_after_the_number_sign_is_not_sent(site: Site) -> None:
    assert fetched(f"{site.url}/a.jpg#top") == JPEG
    assert site.paths == ["/a.jpg"]


# politeness


def test_between_two_requests_to_a_host_there_is_its_pause() -> None:
    with Site(**{f"{n}": picture for n in range(3)}) as one, Site(**{"0": to(f"{one.url}/2")}) as other:
        run(*(f"{one.url}/{n}" for n in range(2)), f"{other.url}/0", pause=0.15)
        assert sorted(one.paths) == ["/0", "/1", "/2"]
        # the robots.txt is a request too, and so is what another host leads to
        assert len(one.gaps()) == 3 and min(one.gaps()) >= 0.15


def test_hosts_are_asked_at_the_same_time_but_no_more_than_allowed() -> None:
    both = threading.Barrier(2, timeout=20)

    def meet(visit: Visit) -> None:
        both.wait()
        visit.give()

    with ExitStack() as stack:
        sites = [stack.enter_context(Site(a=meet, b=meet)) for _ in range(4)]
        found = run(*(f"{site.url}/{path}" for path in "ab" for site in sites), hosts_at_once=2)
        assert all(isinstance(each, Fetched) for each in found.values())
        assert [site.most_at_once for site in sites] == [1, 1, 1, 1]


def test_a_host_that_many_others_lead_to_is_still_asked_one_thing_at_a_time() -> None:
    def slow(visit: Visit) -> None:
        time.sleep(0.02)
        visit.give()

    with ExitStack() as stack:
        store = stack.enter_context(Site(**{f"{n}": slow for n in range(6)}))
        sites = [stack.enter_context(Site(a=to(f"{store.url}/{n}"))) for n in range(6)]
        found = run(*(f"{site.url}/a" for site in sites))
        assert all(isinstance(each, Fetched) for each in found.values())
        assert store.most_at_once == 1 and len(store.paths) == 6
        assert len(store.visits) == 7


def test_a_slow_host_does_not_keep_the_others_waiting(site: Site) -> None:
    with Site(a=silent) as slow:
        rows = [UrlRow(f"{slow.url}/a", None), UrlRow(f"{site.url}/a.jpg", None)]
        found = crawl(rows, CrawlSettings(**QUICK | {"hosts_at_once": 2}))
        assert next(found).name == f"{site.url}/a.jpg"
        found.close()


def test_no_more_pictures_wait_than_hosts_are_asked() -> None:
    with Site(**{f"{n}": picture for n in range(30)}) as site:
        rows = [UrlRow(f"{site.url}/{n}", None) for n in range(30)]
        found = crawl(rows, CrawlSettings(**QUICK | {"hosts_at_once": 3}))
        next(found)
        time.sleep(0.3)
        # one is taken, three wait, and one is in the hands of the worker
        assert len(site.paths) <= 5
        assert len(list(found)) == 29
        assert len(site.paths) == 30


def test_a_crawl_that_is_closed_early_ends_its_workers_at_once() -> None:
    with ExitStack() as stack:
        sites = [stack.enter_context(Site(a=picture, b=answer)) for answer in (silent, drip, coded(503))]
        rows = [UrlRow(f"{site.url}/{path}", None) for site in sites for path in "ab"]
        found = crawl(rows, CrawlSettings(**QUICK | {"timeout": 60.0, "deadline": 60.0, "backoff": 60.0}))
        assert {next(found).name for _ in range(3)} == {f"{site.url}/a" for site in sites}
        start = time.monotonic()
        found.close()
        assert time.monotonic() - start < 10
        assert no_workers()


def test_a_crawl_that_is_never_begun_asks_nobody(site: Site) -> None:
    crawl([UrlRow(f"{site.url}/a.jpg", None)], CrawlSettings(**QUICK)).close()
    assert site.visits == [] and no_workers()


def test_a_mistake_of_ours_reaches_the_one_who_reads(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> bytes:
        raise RuntimeError("a mistake")

    monkeypatch.setattr("fashion16.sources.web_fetch._read", broken)
    with pytest.raises(RuntimeError, match="a mistake"):
        run(f"{site.url}/a.jpg")
    assert no_workers()


# robots.txt


def test_what_a_robots_txt_forbids_is_not_asked_for(site: Site) -> None:
    site.robots("User-agent: *\nDisallow: /private/\nAllow: /private/b\nUser-agent: other\nDisallow: /\n")
    site.answers |= {"/private/a": picture, "/private/b": picture}
    found = run(*(f"{site.url}/{path}" for path in ("a.jpg", "private/a", "private/b", "%70rivate/c")))
    assert found[f"{site.url}/private/a"] == Refusal(f"{site.url}/private/a", FORBIDDEN)
    assert found[f"{site.url}/%70rivate/c"] == Refusal(f"{site.url}/%70rivate/c", FORBIDDEN)
    assert site.paths == ["/a.jpg", "/private/b"]
    # asked for once, and first
    assert [path for path, _, _ in site.visits].index("/robots.txt") == 0 and len(site.visits) == 3


def test_rules_for_this_crawler_go_before_those_for_all(site: Site) -> None:
    site.robots("User-agent: *\nAllow: /\n\nUser-agent: fashion-16\nDisallow: /\n")
    assert reason(f"{site.url}/a.jpg") == FORBIDDEN
    site.robots("User-agent: *\nDisallow: /\n\nUser-agent: Fashion-16\nAllow: /\n")
    assert fetched(f"{site.url}/a.jpg") == JPEG


@pytest.mark.parametrize("code", [401, 403, 404, 410])
def test_without_a_robots_txt_everything_is_allowed(site: Site, code: int) -> None:
    site.robots("User-agent: *\nDisallow: /\n", code)
    assert fetched(f"{site.url}/a.jpg") == JPEG


@pytest.mark.parametrize("code", [429, 500, 503])
def test_where_the_robots_txt_cannot_be_read_nothing_is_asked_for(site: Site, code: int) -> None:
    site.robots("", code)
    assert f"The server answers {code} (" in reason(f"{site.url}/a.jpg")
    assert [path for path, _, _ in site.visits] == ["/robots.txt"] * 3


def test_a_robots_txt_may_have_moved_and_may_come_at_the_second_try(site: Site) -> None:
    site.robots("User-agent: *\nDisallow: /a\n")
    with Site(**{"robots.txt": in_turn(coded(503), to(f"{site.url}/robots.txt")), "a": picture, "b": picture}) as other:
        assert reason(f"{other.url}/a") == FORBIDDEN
        assert fetched(f"{other.url}/b") == JPEG


def test_a_robots_txt_that_leads_in_a_circle_forbids_nothing_and_one_that_leads_nowhere_all(site: Site) -> None:
    site.answers["/robots.txt"] = to("/robots.txt")
    assert fetched(f"{site.url}/a.jpg") == JPEG
    assert len(site.visits) == 7
    site.answers["/robots.txt"] = to("file:///etc/passwd")
    assert reason(f"{site.url}/a.jpg").startswith("The server's robots.txt has moved. Only addresses that begin")


def test_a_redirect_does_not_lead_past_another_host_s_robots_txt(site: Site) -> None:
    site.robots("User-agent: *\nDisallow: /a.jpg\n")
    with Site(a=to(f"{site.url}/a.jpg")) as other:
        assert reason(f"{other.url}/a") == FORBIDDEN
    assert site.paths == []


def test_a_crawl_delay_is_a_longer_pause_up_to_a_limit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.answers["/b.jpg"] = picture
    urls = [f"{site.url}/{path}" for path in ("a.jpg", "b.jpg")]
    site.robots("User-agent: *\nCrawl-delay: 0.2\n")
    run(*urls)
    assert min(site.gaps()) >= 0.2
    site.robots("User-agent: *\nCrawl-delay: 86400\n")
    monkeypatch.setattr("fashion16.sources.web.MAX_CRAWL_DELAY", 0.05)
    assert all(isinstance(each, Fetched) for each in run(*urls).values())


def test_a_robots_txt_is_read_no_further_than_its_limits(site: Site) -> None:
    # 500 KiB are read, and the rule stands behind them
    site.robots("User-agent: *\n" + "# x\n" * 128_000 + "Disallow: /\n")
    assert fetched(f"{site.url}/a.jpg") == JPEG
    # each of a thousand crawlers would be forbidden each of a thousand paths
    site.robots("User-agent: x\n" * 1_000 + "Disallow: /a\n" * 1_000)
    assert "robots.txt is too long" in reason(f"{site.url}/a.jpg")


def test_any_bytes_are_a_robots_txt(site: Site) -> None:
    junk = bytes(np.random.default_rng(16).integers(0, 256, 5_000, np.uint8))
    site.answers["/robots.txt"] = lambda visit: visit.give(b"\xef\xbb\xbfUser-agent: *\nDisallow: /b\n" + junk)
    assert fetched(f"{site.url}/a.jpg") == JPEG
    assert reason(f"{site.url}/b") == FORBIDDEN


# private addresses


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "0.0.0.0", "127.1", "2130706433"]
    + ["0x7f000001", "0x7f.1", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1"]
    + ["[fe80::1]", "[fd00::1]", "[::]", "224.0.0.1", "255.255.255.255", "100.64.0.1", "0"],
)
def test_private_addresses_are_refused_in_any_notation(site: Site, host: str) -> None:
    assert reason(f"http://{host}:{site.server_port}/a.jpg", allow_private=False) == PRIVATE
    assert reason(f"https://{host}:{site.server_port}/a.jpg", allow_private=False) == PRIVATE
    assert site.visits == []


@pytest.mark.parametrize(
    "address", ["1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
)
def test_addresses_of_the_public_internet_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    ["64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:a00:1::1", "::127.0.0.1", "fec0::1", "ff02::1"]
    + ["239.1.1.1", "240.0.0.1", "198.18.0.1", "192.0.2.1", "2001:db8::1", "fe80::1%1", "::ffff:224.0.0.1"],
)
def test_addresses_that_only_look_public_are_not(address: str) -> None:
    assert not is_public(address)


def test_a_name_that_stands_for_a_private_address_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    name_servers(monkeypatch, {"inside.example": ["127.0.0.1"], "nobody.example": [""]})
    assert reason(f"http://inside.example:{site.server_port}/a.jpg", allow_private=False) == PRIVATE
    assert fetched(f"http://inside.example:{site.server_port}/a.jpg") == JPEG
    assert reason("http://nobody.example/a.jpg") == NO_SUCH_NAME
    assert reason(f"http://.{'x' * 70}.example/a.jpg") == NO_SUCH_NAME
    assert {headers["Host"] for _, _, headers in site.visits} == {f"inside.example:{site.server_port}"}


def test_a_redirect_into_a_private_network_is_not_followed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fashion16.sources.web_safety.is_public", "127.0.0.1".__eq__)
    name_servers(monkeypatch, {"inside.example": ["127.0.0.2"]})
    for host in ("127.0.0.2", "inside.example", "[::1]", "0x7f000002"):
        site.answers["/on"] = to(f"http://{host}:{site.server_port}/secret")
        assert reason(f"{site.url}/on", allow_private=False) == PRIVATE
        site.answers["/robots.txt"] = to(f"http://{host}:{site.server_port}/secret")
        assert reason(f"{site.url}/a.jpg", allow_private=False) == PRIVATE
        del site.answers["/robots.txt"]
    assert "/secret" not in site.paths


def test_the_address_that_was_checked_is_the_one_that_is_connected_to(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fashion16.sources.web_safety.is_public", "127.0.0.1".__eq__)
    site.robots("")
    # public when first asked for, private from then on
    asked = name_servers(monkeypatch, {"turncoat.example": ["127.0.0.1", "127.0.0.2"]})
    url = f"http://turncoat.example:{site.server_port}/a.jpg"
    assert fetched(url, allow_private=False) == JPEG
    assert asked == {"turncoat.example": 1}
    # another connection is another check
    assert reason(url, allow_private=False) == PRIVATE
    assert asked == {"turncoat.example": 2}


@contextmanager
def secure_site(name: str) -> Iterator[tuple[Site, ssl.SSLContext]]:
    """A site with a certificate for `name`, and what trusts it."""
    authority = trustme.CA()
    server, trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert(name).configure_cert(server)
    authority.configure_trust(trust)
    with Site(**{"a.jpg": picture}) as site:
        # the handshake is made by the visit's thread: a failed one must not end the server
        site.socket = server.wrap_socket(site.socket, server_side=True, do_handshake_on_connect=False)
        yield site, trust


def test_a_certificate_is_asked_for_by_name_although_an_address_is_connected_to() -> None:
    with secure_site("shop.example") as (site, trust):
        transport = SafeTransport(
            threading.Event(), allow_private=True, resolve=lambda host: ["127.0.0.1"], trust=trust
        )
        with httpx.Client(transport=transport, trust_env=False) as client:
            assert client.get(f"https://shop.example:{site.server_port}/a.jpg").content == JPEG
            with pytest.raises(DataError, match=BAD_CERTIFICATE):
                client.get(f"https://other.example:{site.server_port}/a.jpg")


def test_a_certificate_that_nobody_vouches_for_is_refused_without_a_second_try() -> None:
    with secure_site("127.0.0.1") as (site, _):
        assert reason(f"https://127.0.0.1:{site.server_port}/a.jpg") == BAD_CERTIFICATE
        assert site.visits == []


# addresses


@pytest.mark.parametrize(
    "url", ["", "a.jpg", "//host/a.jpg", "ftp://host/a.jpg", "file:///etc/passwd", "data:image/png;base64,AA=="]
)
def test_only_http_is_fetched(url: str) -> None:
    assert reason(url) == "Only addresses that begin with http:// or https:// are fetched."


@pytest.mark.parametrize("url", ["http://[::1", "http://h:port/", "http://h/\x00", "http://‮gpj.example/"])
def test_what_is_no_address_is_refused(url: str) -> None:
    assert reason(url) == "This is no address on the web."


@pytest.mark.parametrize("url", ["http:///a.jpg", "http://h:99999/", "https://xn--/", "http:a.jpg"])
def test_an_address_without_a_server_is_refused(url: str) -> None:
    assert reason(url) == "This address names no server."


@pytest.mark.parametrize("url", ["http://me:secret@127.0.0.1/", "http://me@127.0.0.1/", "http://good.example\\@evil/"])
def test_an_address_with_a_password_is_refused(url: str) -> None:
    assert reason(url) == "This address holds a user name or a password, and none is sent."


@given(st.text(max_size=40) | st.text(max_size=20).map(lambda text: f"http://{text}"))
def test_any_text_is_an_address_or_an_error(text: str) -> None:
    try:
        url = parse_address(text)
    except DataError as error:
        assert str(error).endswith(".")
    else:
        assert url.scheme in ("http", "https") and url.host and not url.userinfo
        assert httpx.Request("GET", url).headers["Host"]


# redirects


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_and_the_picture_keeps_its_address(site: Site, code: int) -> None:
    with Site(a=to("b#part", code), b=to(f"{site.url}/a.jpg", code)) as other:
        assert fetched(f"{other.url}/a") == JPEG
        assert other.paths == ["/a", "/b"] and site.paths == ["/a.jpg"]


def test_redirects_in_a_circle_are_refused(site: Site) -> None:
    site.answers["/self"] = to("/self#again")
    assert reason(f"{site.url}/self") == "The address leads in a circle."
    assert site.paths == ["/self"]
    with Site(b=to(f"{site.url}/a")) as other:
        site.answers["/a"] = to(f"{other.url}/b")
        assert reason(f"{site.url}/a") == "The address leads in a circle."


def test_an_address_that_leads_on_and_on_is_refused() -> None:
    with Site(**{f"{n}": to(f"/{n + 1}") for n in range(9)} | {"9": picture}) as site:
        assert reason(f"{site.url}/0") == "The address leads on more than 5 times."
        assert site.paths == [f"/{n}" for n in range(6)]
        assert fetched(f"{site.url}/4") == JPEG


@pytest.mark.parametrize("url", ["http://[::1", "https://xn--/", "http://h:port/", "javascript:alert(1)"])
def test_a_redirect_to_what_is_no_address_is_refused(site: Site, url: str) -> None:
    site.answers["/on"] = to(url)
    assert "address" in reason(f"{site.url}/on")
    site.answers["/robots.txt"] = to(url)
    assert "address" in reason(f"{site.url}/a.jpg")


def test_a_redirect_that_leads_nowhere_is_no_picture(site: Site) -> None:
    site.answers["/on"] = coded(302)
    assert reason(f"{site.url}/on") == "The server gives no picture: it answers 302 (Found)."


# servers that fail


def test_what_is_gone_or_forbidden_is_not_asked_for_again(site: Site) -> None:
    site.answers |= {f"/{code}": coded(code) for code in (204, 206, 400, 403, 410, 501)}
    gone = "There is nothing at this address: the server answers"
    assert reason(f"{site.url}/no.jpg") == f"{gone} 404 (Not Found)."
    assert reason(f"{site.url}/410") == f"{gone} 410 (Gone)."
    assert reason(f"{site.url}/403") == "The server does not give this to everybody: it answers 403 (Forbidden)."
    assert reason(f"{site.url}/400") == "The server gives no picture: it answers 400 (Bad Request)."
    for code in (204, 206, 501):
        assert reason(f"{site.url}/{code}").startswith("The server gives no picture: it answers")
    assert len(site.paths) == 7


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(site: Site, code: int) -> None:
    site.answers["/b.jpg"] = in_turn(coded(code), coded(code), picture)
    assert fetched(f"{site.url}/b.jpg") == JPEG
    site.answers["/c.jpg"] = coded(code)
    assert reason(f"{site.url}/c.jpg").startswith(f"The server answers {code} (")
    assert site.paths == ["/b.jpg"] * 3 + ["/c.jpg"] * 3


def test_before_each_retry_the_wait_doubles(site: Site) -> None:
    site.answers["/b.jpg"] = coded(503)
    reason(f"{site.url}/b.jpg", backoff=0.2)
    _, first, second = site.gaps()
    # a quarter off at most, for chance
    assert first >= 0.15 and second >= 0.3


def test_a_server_is_asked_again_no_sooner_than_it_wants(site: Site) -> None:
    site.answers["/b.jpg"] = in_turn(coded(429, Retry_After="1"), picture)
    assert fetched(f"{site.url}/b.jpg") == JPEG
    assert site.gaps()[-1] >= 1.0
    then: list[float] = []

    def until(visit: Visit) -> None:
        then.append(int(time.time()) + 2.0)
        visit.give(b"", 503, Retry_After=email.utils.formatdate(then[0], usegmt=True))

    def late(visit: Visit) -> None:
        then.append(time.time())
        visit.give()

    site.answers["/c.jpg"] = in_turn(until, late)
    assert fetched(f"{site.url}/c.jpg") == JPEG
    # two clocks are compared here
    assert then[1] >= then[0] - 0.05


@pytest.mark.parametrize(
    "text", ["86400", "9" * 400, "soon", "-5", "1.5", "Fri, 31 Dec 9999 23:59:59 -2300", "Fri, 31 Dec 1999 23:59:59"]
)
def test_a_wait_beyond_reason_or_without_a_meaning_is_not_kept(
    site: Site, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setattr("fashion16.sources.web.MAX_WAIT", 0.02)
    site.answers["/b.jpg"] = in_turn(coded(429, Retry_After=text), picture)
    assert fetched(f"{site.url}/b.jpg") == JPEG


def test_a_file_that_broke_off_is_fetched_again(site: Site) -> None:
    def half_a_chunk(visit: Visit) -> None:
        visit.start(Transfer_Encoding="chunked")
        visit.wfile.write(b"%x\r\n" % len(JPEG) + JPEG[:-1])
        visit.close_connection = True

    def half_a_gzip(visit: Visit) -> None:
        visit.give(gzip.compress(JPEG)[:-9], Content_Encoding="gzip")

    def hang_up(visit: Visit) -> None:
        visit.close_connection = True

    site.answers["/b.jpg"] = in_turn(break_off, picture)
    assert fetched(f"{site.url}/b.jpg") == JPEG
    for name, answer in enumerate((break_off, half_a_chunk, half_a_gzip, hang_up)):
        site.answers[f"/{name}"] = answer
        assert reason(f"{site.url}/{name}") == BROKE_OFF
        assert site.paths.count(f"/{name}") == 3


@pytest.mark.parametrize("junk", [b"", b"hello\r\n\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"\x00" * 200_000])
def test_what_is_no_http_is_refused(site: Site, junk: bytes) -> None:
    def talk(visit: Visit) -> None:
        visit.wfile.write(junk)
        visit.close_connection = True

    site.answers["/b.jpg"] = talk
    assert reason(f"{site.url}/b.jpg") == BROKE_OFF


def test_a_server_that_is_not_there_is_refused_after_its_retries() -> None:
    with socket.socket() as taken:
        # bound, but not listening: nobody else gets the port
        taken.bind(("127.0.0.1", 0))
        urls = [f"http://127.0.0.1:{taken.getsockname()[1]}/{n}" for n in range(5)]
        found = run(*urls)
    assert found == {url: Refusal(url, "The server cannot be reached.") for url in urls}


def test_a_server_that_says_nothing_is_not_waited_for(site: Site) -> None:
    site.answers["/b.jpg"] = silent
    assert reason(f"{site.url}/b.jpg", timeout=0.5) == TOO_SLOW
    assert site.paths == ["/b.jpg"] * 3


def test_a_server_that_drips_cannot_hold_a_worker_for_ever() -> None:
    with Site(a=drip) as one, Site(b=drip_headers) as two:
        urls = [f"{one.url}/a", f"{two.url}/b"]
        found = run(*urls, deadline=0.8, retries=1)
        assert found == {url: Refusal(url, TOO_SLOW) for url in urls}


def test_a_server_that_fails_again_and_again_is_left_alone() -> None:
    with Site(**{f"{n}": coded(503) for n in range(9)}) as site:
        found = run(*(f"{site.url}/{n}" for n in range(9)), retries=0)
        assert len(site.paths) == 5
        reasons = Counter(each.reason for each in found.values() if isinstance(each, Refusal))
        assert sorted(reasons.values()) == [4, 5]
        assert reasons["The server failed 5 times in a row, and was not asked again."] == 4
    with Site(**{f"{n}": coded(503 if n % 3 else 404) for n in range(9)}) as site:
        run(*(f"{site.url}/{n}" for n in range(9)), retries=0)
        assert len(site.paths) == 9


# what is sent


@pytest.mark.parametrize(
    "kind", ["image/png", "application/octet-stream", "binary/octet-stream", "text/plain", "x", ""]
)
def test_a_type_that_says_little_is_no_reason_to_refuse(site: Site, kind: str) -> None:
    site.answers["/b.jpg"] = typed(kind)
    assert fetched(f"{site.url}/b.jpg") == JPEG


def test_a_file_without_a_type_or_a_length_is_taken(site: Site) -> None:
    def bare(visit: Visit) -> None:
        visit.start(Connection="close")
        visit.wfile.write(JPEG)

    site.answers["/b.jpg"] = bare
    assert fetched(f"{site.url}/b.jpg") == JPEG


@pytest.mark.parametrize("kind", ["application/pdf", "video/mp4", "text/css", "application/json; charset=utf-8"])
def test_what_is_clearly_no_picture_is_refused_by_its_type(site: Site, kind: str) -> None:
    site.answers["/b.jpg"] = typed(kind)
    assert reason(f"{site.url}/b.jpg") == f"The address gives “{kind.partition(';')[0]}”, not a picture."


@pytest.mark.parametrize("body", [b"\xef\xbb\xbf\n <!DOCTYPE html><p>", b"<HTML>", b"<html lang=en>", b"\n<head>"])
def test_a_web_page_is_refused_whatever_it_calls_itself(site: Site, body: bytes) -> None:
    for number, kind in enumerate(("text/html; charset=utf-8", "image/jpeg")):
        site.answers[f"/{number}"] = typed(kind, body)
        assert reason(f"{site.url}/{number}") == WEB_PAGE


def test_a_lie_about_the_type_is_left_to_the_decoder(site: Site) -> None:
    site.answers |= {"/b.jpg": typed("image/jpeg", b"%PDF-1.7"), "/c.jpg": typed("image/jpeg", b"")}
    assert fetched(f"{site.url}/b.jpg") == b"%PDF-1.7"
    assert fetched(f"{site.url}/c.jpg") == b""


def test_a_file_that_is_too_large_is_refused_before_it_is_read_or_while_it_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fashion16.sources.web_fetch.MAX_BYTES", 2**20)
    n_sent = []

    def says_so(visit: Visit) -> None:
        visit.start(Content_Length=str(2**20 + 1))
        silent(visit)

    def endless(visit: Visit) -> None:
        visit.start(Connection="close")
        while not visit.server.closing.is_set():
            visit.wfile.write(bytes(2**16))
            n_sent.append(2**16)

    def bomb(visit: Visit) -> None:
        visit.give(gzip.compress(bytes(2**25)), Content_Encoding="gzip")

    exact = bytes(2**20)
    site.answers |= {"/0": says_so, "/1": endless, "/2": bomb, "/3": typed("", exact), "/4": typed("", exact + b"x")}
    found = run(*(f"{site.url}/{n}" for n in range(5)))
    too_large = "This file is larger than 1 MB, as no picture needs to be. Make it smaller and try again."
    outcomes = [found[f"{site.url}/{n}"] for n in range(5)]
    assert [each.reason if isinstance(each, Refusal) else len(each.data) for each in outcomes] == [
        too_large,
        too_large,
        too_large,
        2**20,
        too_large,
    ]
    # what had left the server when the crawler hung up lay in the system's buffers
    assert sum(n_sent) < 64 * 2**20


@pytest.mark.parametrize("coding", ["gzip", "GZip", "x-gzip"])
def test_a_packed_file_is_unpacked_although_it_was_not_asked_for(site: Site, coding: str) -> None:
    site.answers["/b.jpg"] = lambda visit: visit.give(gzip.compress(JPEG), Content_Encoding=coding)
    assert fetched(f"{site.url}/b.jpg") == JPEG


def test_a_file_that_is_not_packed_as_it_says_is_refused_or_left_to_the_decoder(site: Site) -> None:
    site.answers["/b.jpg"] = lambda visit: visit.give(Content_Encoding="gzip")
    assert reason(f"{site.url}/b.jpg") == "The file cannot be unpacked as the server says."
    site.answers["/c.jpg"] = lambda visit: visit.give(Content_Encoding="br")
    assert fetched(f"{site.url}/c.jpg") == JPEG


# tables


def table(folder: Path, text: str, name: str = "urls.csv") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_a_table_of_addresses_is_read(tmp_path: Path) -> None:
    found = read_url_table(table(tmp_path, "url,label\n http://h/a ,Hat\nhttp://h/b, \nhttp://h/c\n"))
    assert found.rows == [UrlRow("http://h/a", "Hat"), UrlRow("http://h/b", None), UrlRow("http://h/c", None)]
    assert found.refusals == []


@pytest.mark.parametrize("header", ["url", "URL", "image_url", "Image Link", "src", "link"])
def test_a_table_needs_no_labels(tmp_path: Path, header: str) -> None:
    found = read_url_table(table(tmp_path, f"{header}\nhttp://h/a\n"))
    assert found.rows == [UrlRow("http://h/a", None)]


def test_a_picture_s_address_goes_before_its_page_s(tmp_path: Path) -> None:
    path = table(tmp_path, "url;image_url;class\nhttp://h/page;http://h/a.jpg;Hat\n")
    assert read_url_table(path).rows == [UrlRow("http://h/a.jpg", "Hat")]
    assert read_url_table(path, "url", "image_url").rows == [UrlRow("http://h/page", "http://h/a.jpg")]


def test_a_column_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    path = table(tmp_path, "url,kind\nhttp://h/a,Hat\n")
    with pytest.raises(DamagedDataError, match="has no label column called “label”. Its columns are: “url”, “kind”."):
        read_url_table(path, label_column="label")
    with pytest.raises(DamagedDataError, match="has no URL column called “address”"):
        read_url_table(path, "address")
    with pytest.raises(DamagedDataError, match="has no URL column called imageurl or"):
        read_url_table(table(tmp_path, "name,label\nx,Hat\n"))
    with pytest.raises(DamagedDataError, match="names no URL"):
        read_url_table(table(tmp_path, "url\n"))


def test_a_second_label_for_an_address_is_refused_and_the_same_again_is_not(tmp_path: Path) -> None:
    found = read_url_table(table(tmp_path, "url,label\nhttp://h/a,Hat\nhttp://h/a, Hat \nhttp://h/a,Cap\n"))
    assert found.rows == [UrlRow("http://h/a", "Hat")]
    reason = "Line 4 of the table gives it the label “Cap”; “Hat” came first."
    assert found.refusals == [Refusal("http://h/a", reason)]


def test_rows_of_no_use_are_refused(tmp_path: Path) -> None:
    text = f"url,label\n,Hat\nhttp://h/a,{'x' * 200}\nhttp://h/b,{'x' * 201}\nhttp://h/c,Hat, of straw\n"
    found = read_url_table(table(tmp_path, text))
    assert found.rows == [UrlRow("http://h/a", "x" * 200)]
    assert found.refusals == [
        Refusal("urls.csv:2", "This row of the table names no URL."),
        Refusal("http://h/b", "Its label has 201 characters; the limit is 200."),
        Refusal("http://h/c", "This row has more cells than the table has columns."),
    ]


def test_a_parquet_table_of_addresses_is_read(tmp_path: Path) -> None:
    pd.DataFrame({"n": [1, 2], "url": ["http://h/a", None]}).to_parquet(tmp_path / "urls.parquet")
    found = read_url_table(tmp_path / "urls.parquet")
    assert found.rows == [UrlRow("http://h/a", None)]
    assert found.refusals == [Refusal("urls.parquet:2", "This row of the table names no URL.")]


def test_what_is_no_table_of_addresses_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in (tmp_path / "gone.csv", tmp_path):
        with pytest.raises(MissingDataError, match="There is no table at"):
            read_url_table(path)
    with pytest.raises(DamagedDataError, match="is no table: its name must end in .csv, .parquet, .pq, .tsv."):
        read_url_table(table(tmp_path, "http://h/a", "urls.txt"))
    monkeypatch.setattr("fashion16.sources.url_table.MAX_TABLE_BYTES", 10)
    with pytest.raises(DamagedDataError, match="is larger than 0 MB. Import it in parts."):
        read_url_table(table(tmp_path, "url\nhttp://h/a\n"))
