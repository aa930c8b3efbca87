"""HTTP for addresses that strangers wrote: no connection into a private network, and none that takes for ever.

A name is resolved once, all its addresses are looked at, and one of these very addresses is connected to. So no
redirect and no second answer of a name server leads past the check; TLS still asks for the certificate of the name.
"""

from __future__ import annotations

import functools
import ipaddress
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

import httpcore
import httpx

from fashion16.errors import DataError

PRIVATE = "This address leads into a private network, and is not fetched unless private addresses are allowed."
NO_SUCH_NAME = "There is no server of this name."
BAD_CERTIFICATE = "The server's certificate cannot be trusted."
# how long a reader may not notice that the crawl was stopped
SLICE = 0.1
# a name with more has the others for balance, and they are no easier to reach
MAX_ADDRESSES = 4
# a host's next request comes after its pause, most often within this time
KEPT_OPEN, KEPT_SECONDS = 32, 15.0
# the IPv6 addresses that are given out at all, and those of RFC 6052, which stand for IPv4 addresses
UNICAST = ipaddress.IPv6Network("2000::/3")
NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

# a host's name to its addresses; raises OSError, or UnicodeError where it can be no name
Resolve = Callable[[str], Sequence[str]]


def resolve(host: str) -> list[str]:
    """The addresses of `host`, best first, as the system finds them; numbers in any notation are names too."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def is_public(address: str) -> bool:
    """Whether the IP address belongs to the public internet: one machine, for all the same.

    An IPv6 address that stands for an IPv4 address is as public as that.
    """
    found = ipaddress.ip_address(address)
    if isinstance(found, ipaddress.IPv6Address):
        low = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF) if found in NAT64 else None
        inner = found.ipv4_mapped or found.sixtofour or low
        if inner is None:
            return found.is_global and found in UNICAST
        found = inner
    return found.is_global and not found.is_multicast


class SafeTransport(httpx.BaseTransport):
    """A transport for `httpx.Client` that refuses private addresses, keeps to a deadline, and can be stopped.

    Raises what httpcore raises, and DataError with a sentence for the user where asking again is no use.
    Threads may share it; each has its own deadline.
    """

    def __init__(
        self,
        stopped: threading.Event,
        *,
        allow_private: bool = False,
        resolve: Resolve = resolve,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """Once `stopped` is set, whoever is reading gets an error within a moment."""
        self._clock = _Clock(stopped)
        self._pool = httpcore.ConnectionPool(
            ssl_context=trust or _certificates(),
            max_keepalive_connections=KEPT_OPEN,
            max_connections=None,
            keepalive_expiry=KEPT_SECONDS,
            network_backend=_Backend(self._clock, resolve, allow_private),
        )

    def start_clock(self, seconds: float) -> None:
        """Set a deadline, in seconds, for all requests of this thread from now on."""
        self._clock.end = time.monotonic() + seconds

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """What httpx calls for each request."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme,
            host=request.url.raw_host,
            port=request.url.port,
            target=request.url.raw_path,
        )
        answer = self._pool.handle_request(
            httpcore.Request(
                request.method,
                url,
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        return httpx.Response(answer.status, headers=answer.headers, stream=_Body(answer), extensions=answer.extensions)

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


@functools.cache
def _certificates() -> ssl.SSLContext:
    """The authorities that are trusted to vouch for servers; to read them takes longer than a request."""
    return httpx.create_ssl_context(trust_env=False)


class _Body(httpx.SyncByteStream):
    def __init__(self, answer: httpcore.Response) -> None:
        self._answer = answer

    def __iter__(self) -> Iterator[bytes]:
        return self._answer.iter_stream()

    def close(self) -> None:
        self._answer.close()


class _Clock(threading.local):
    """How long the thread that asks may still wait."""

    def __init__(self, stopped: threading.Event) -> None:
        self._stopped, self.end = stopped, math.inf

    def left(self, timeout: float | None) -> float:
        """The seconds left, `timeout` at most."""
        if self._stopped.is_set():
            raise httpcore.ReadError("stopped")
        left = self.end - time.monotonic()
        if left <= 0:
            raise httpcore.ReadTimeout("over the deadline")
        return left if timeout is None else min(left, timeout)


class _Backend(httpcore.SyncBackend):
    def __init__(self, clock: _Clock, resolve: Resolve, allow_private: bool) -> None:
        self._clock, self._resolve, self._allow_private = clock, resolve, allow_private

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("no address")
        for address in self._checked(host)[:MAX_ADDRESSES]:
            try:
                left = self._clock.left(timeout)
                return _Stream(super().connect_tcp(address, port, left, local_address, socket_options), self._clock)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    def _checked(self, host: str) -> Sequence[str]:
        try:
            addresses = self._resolve(host)
        except UnicodeError as error:
            raise DataError(NO_SUCH_NAME) from error
        except OSError as error:
            if isinstance(error, socket.gaierror) and error.errno == socket.EAI_NONAME:
                raise DataError(NO_SUCH_NAME) from error
            raise httpcore.ConnectError("the name server did not answer") from error
        # one private address among public ones is no accident either
        if not self._allow_private and not all(is_public(address) for address in addresses):
            raise DataError(PRIVATE)
        return addresses


class _Stream(httpcore.NetworkStream):
    """A connection that looks at the clock."""

    def __init__(self, stream: httpcore.NetworkStream, clock: _Clock) -> None:
        self._stream, self._clock = stream, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        end = time.monotonic() + (math.inf if timeout is None else timeout)
        while True:
            # zero would mean: do not wait, and fail in another way
            left = max(self._clock.left(end - time.monotonic()), 0.001)
            try:
                return self._stream.read(max_bytes, min(left, SLICE))
            except httpcore.ReadTimeout:
                if time.monotonic() >= end:
                    raise

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._clock.left(timeout))

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        try:
            left = self._clock.left(timeout)
            return _Stream(self._stream.start_tls(ssl_context, server_hostname, left), self._clock)
        except httpcore.ConnectError as error:
            if isinstance(error.__cause__, ssl.SSLCertVerificationError):
                raise DataError(BAD_CERTIFICATE) from error
            raise
        except httpcore.ReadError:
            self.close()
            raise

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)
