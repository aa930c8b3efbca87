"""One address on the web to the picture's bytes, to where it has moved, or to a sentence that says why not.

Nothing that a server says is trusted: neither how much it sends, nor what, nor where it leads to.
"""

from __future__ import annotations

import contextlib
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Event
from types import TracebackType

import httpcore
import httpx
from protego import Protego

from fashion16.errors import DataError
from fashion16.images import MAX_BYTES
from fashion16.sources.local_files import TOO_LARGE
from fashion16.sources.web_safety import SafeTransport
from fashion16.text import shown

MAX_REDIRECTS = 5
# RFC 9309 asks for this much at least; what lies behind is as if it were not there
ROBOTS_BYTES = 500 * 1024
# each rule of a group is kept once for each crawler that the group names; the longest real files stay far below
MAX_RULES = 500_000
MAX_PORT = 65_535
TRY_AGAIN = frozenset({429, 500, 502, 503, 504})
GONE = frozenset({404, 410})
FORBIDDEN = frozenset({401, 402, 403, 407, 451})
# what servers call a picture whose type they do not know is not among them
WRONG_KINDS = frozenset({"audio", "font", "model", "multipart", "video"})
WRONG_TYPES = frozenset({"application/" + kind for kind in ("gzip", "javascript", "json", "pdf", "xml", "zip")})
WEB_PAGE_TYPES = frozenset({"text/html", "application/xhtml+xml"})
WEB_PAGE_STARTS = (b"<!doctype html", b"<html", b"<head", b"<body", b"<script")
WEB_PAGE = "The address gives a web page, not a picture."
BROKE_OFF = "The connection broke off before the whole file had come."


class TryAgain(DataError):
    """The server may give it another time. `wait`: the seconds it asked to wait, or 0."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


class Fetcher:
    """Asks servers, one request a call. A context manager; threads may share it.

    Attributes:
        user_agent: how it calls itself, also when it reads a robots.txt.
    """

    def __init__(
        self, stopped: Event, *, timeout: float, deadline: float, user_agent: str, allow_private: bool = False
    ) -> None:
        """`timeout` is for one answer or one piece, `deadline` for the whole, in seconds."""
        self.user_agent, self._deadline = user_agent, deadline
        self._transport = SafeTransport(stopped, allow_private=allow_private)
        self._client = httpx.Client(
            transport=self._transport,
            headers={"User-Agent": user_agent, "Accept": "image/*,*/*;q=0.5", "Accept-Encoding": "identity"},
            # no cookie of anybody is kept
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=timeout,
            # a proxy would connect in our place, wherever it likes
            trust_env=False,
        )

    def __enter__(self) -> Fetcher:
        """The fetcher itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self._client.close()

    def picture(self, url: httpx.URL) -> bytes | httpx.URL:
        """The bytes at `url`, at most 40 MB, or the address that it has moved to. Only a decoder knows if they are one.

        Raises:
            TryAgain: the server is too slow, broke off, or says that it has no time.
            DataError: it gives no picture, or may not be asked.
        """
        with self._answer(url) as answer:
            if answer.next_request is not None:
                return answer.next_request.url.copy_with(fragment=None)
            _check_status(answer)
            _check_type(answer)
            if _length(answer) > MAX_BYTES:
                raise DataError(TOO_LARGE.format(MAX_BYTES / 2**20))
            data = _read(answer, MAX_BYTES)
        if len(data) > MAX_BYTES:
            raise DataError(TOO_LARGE.format(MAX_BYTES / 2**20))
        if data[:1024].removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(WEB_PAGE_STARTS):
            raise DataError(WEB_PAGE)
        return data

    def robots(self, url: httpx.URL) -> Protego:
        """What the server of `url` lets crawlers fetch, by RFC 9309: without a robots.txt, everything.

        Raises:
            TryAgain: it cannot be reached, or its robots.txt cannot be read for now; so nothing may be fetched.
            DataError: it may not be asked.
        """
        url = url.copy_with(raw_path=b"/robots.txt", fragment=None)
        for _ in range(1 + MAX_REDIRECTS):
            with self._answer(url) as answer:
                if answer.next_request is None:
                    return _rules(answer)
                url = answer.next_request.url
            if fault := address_fault(url):
                raise DataError(f"The server's robots.txt has moved. {fault}")
        return Protego.parse("")

    @contextlib.contextmanager
    def _answer(self, url: httpx.URL) -> Iterator[httpx.Response]:
        self._transport.start_clock(self._deadline)
        try:
            with self._client.stream("GET", url) as answer:
                yield answer
        except httpcore.TimeoutException as error:
            raise TryAgain("The server did not answer in time, or was too slow.") from error
        except httpcore.ConnectError as error:
            raise TryAgain("The server cannot be reached.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise TryAgain(BROKE_OFF) from error
        # httpx reads where a redirect leads to even if it does not follow it
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise DataError("The server leads on to an address that is none.") from error


def parse_address(text: str) -> httpx.URL:
    """`text` as an address that can be fetched.

    Raises:
        DataError: it is none.
    """
    try:
        url = httpx.URL(text).copy_with(fragment=None)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise DataError("This is no address on the web.") from error
    if fault := address_fault(url):
        raise DataError(fault)
    return url


def address_fault(url: httpx.URL) -> str:
    """Why `url` cannot be fetched, in one sentence; empty where it can."""
    if url.scheme not in ("http", "https"):
        return "Only addresses that begin with http:// or https:// are fetched."
    try:
        host = url.host
    # a name in Punycode that stands for nothing
    except UnicodeError:
        host = ""
    if not host or (url.port or 0) > MAX_PORT:
        return "This address names no server."
    if url.userinfo:
        return "This address holds a user name or a password, and none is sent."
    return ""


def may_fetch(rules: Protego, url: httpx.URL, user_agent: str) -> bool:
    """Whether a server with these rules lets `user_agent` fetch `url`."""
    # rules are about paths: a server's name, which could be anything, would only have to be parsed again
    return rules.can_fetch(f"http://host{url.raw_path.decode('ascii')}", user_agent)


def _rules(answer: httpx.Response) -> Protego:
    if answer.status_code >= 500 or answer.status_code in TRY_AGAIN:
        reason = f"The server answers {_status(answer)} when asked for its robots.txt, so nothing is fetched from it."
        raise TryAgain(reason, _retry_after(answer))
    if not answer.is_success:
        return Protego.parse("")
    text = _read(answer, ROBOTS_BYTES)[:ROBOTS_BYTES].decode("utf-8-sig", "replace")
    if text.lower().count("agent") * len(text.splitlines()) > MAX_RULES:
        raise DataError("The server's robots.txt is too long to be read, so nothing is fetched from it.")
    return Protego.parse(text)


def _check_status(answer: httpx.Response) -> None:
    code = answer.status_code
    if code in TRY_AGAIN:
        raise TryAgain(f"The server answers {_status(answer)}.", _retry_after(answer))
    if code in GONE:
        raise DataError(f"There is nothing at this address: the server answers {_status(answer)}.")
    if code in FORBIDDEN:
        raise DataError(f"The server does not give this to everybody: it answers {_status(answer)}.")
    # 203: as it was changed by somebody on the way, who has done so to the others too
    if code not in (HTTPStatus.OK, HTTPStatus.NON_AUTHORITATIVE_INFORMATION):
        raise DataError(f"The server gives no picture: it answers {_status(answer)}.")


def _status(answer: httpx.Response) -> str:
    """The number with its usual name, not the one that the server gives it."""
    phrase = httpx.codes.get_reason_phrase(answer.status_code)
    return f"{answer.status_code} ({phrase})" if phrase else str(answer.status_code)


def _check_type(answer: httpx.Response) -> None:
    name = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    kind = name.partition("/")[0]
    if name in WEB_PAGE_TYPES:
        raise DataError(WEB_PAGE)
    # plain text is what some servers call everything
    if kind in WRONG_KINDS or name in WRONG_TYPES or (kind == "text" and name != "text/plain"):
        raise DataError(f"The address gives {shown(name)}, not a picture.")


def _length(answer: httpx.Response) -> int:
    length = answer.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


def _read(answer: httpx.Response, limit: int) -> bytes:
    """The body, unpacked; where it is longer than `limit`, one byte more than that."""
    # nobody asked for it, but some servers pack everything; what we cannot unpack, no decoder will take for a picture
    packed = answer.headers.get("content-encoding", "").strip().lower() in ("gzip", "x-gzip", "deflate")
    # 32: with the header of either
    unpacker = zlib.decompressobj(32 + zlib.MAX_WBITS) if packed else None
    data = bytearray()
    for piece in answer.iter_raw():
        left = limit + 1 - len(data)
        try:
            data += unpacker.decompress(piece, left) if unpacker else piece[:left]
        except zlib.error as error:
            raise DataError("The file cannot be unpacked as the server says.") from error
        if len(data) > limit:
            return bytes(data)
    if unpacker and not unpacker.eof:
        raise TryAgain(BROKE_OFF)
    return bytes(data)


def _retry_after(answer: httpx.Response) -> float:
    """The seconds that the server asks to wait: it may say a number or a time."""
    text = answer.headers.get("retry-after", "").strip()
    # a longer number is no wait, and could be too long for Python to read
    if text.isdecimal() and len(text) < 10:
        return float(text)
    try:
        then = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    # a time without a zone is meant as the RFC demands it
    return max(0.0, (then.replace(tzinfo=then.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
