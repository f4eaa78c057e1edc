"""What the server shows and whom it lets in, replaced while it runs.

gRPC asks for it at each connection, on a thread of its own, and has a flaw there (grpc/grpc#36693): a connection that
is just being taken may use what another one replaces after that was freed. What is replaced stays referenced while a
handshake that began with it is under way. So such a handshake is held with this daemon's own server across each
replacement, and nothing is replaced that did not change.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from typing import TYPE_CHECKING, cast

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from meshnet.peers.keyfile import KeyPair

log = logging.getLogger(__name__)

_HELD_S = 2.0
"""Far longer than between two steps of a thread of gRPC's, and shorter than it lets a handshake take."""
_REPLY_S = 2.0
_AGAIN_S = 0.3
_TOGETHER_S = 0.2
"""After a replacement until the next: each takes all certificates anew, and where nodes come up they change one by one.

Who was pinned is let in so much later; who is pinned no more is refused at once, by the door.
"""


class Trust:
    """Credentials of the server that follow this node's identity and its pins.

    Args:
        own: this node's key and certificate as of now.
        trusted: every certificate that may call, PEM, as of now.
    """

    def __init__(self, own: Callable[[], KeyPair], trusted: Callable[[], Iterable[str]]) -> None:
        self._own = own
        self._trusted = trusted
        self._in_use = self._wanted()
        self._fresh: grpc.ServerCertificateConfiguration | None = None
        self._poke = asyncio.Event()
        self._held: set[asyncio.StreamWriter] = set()
        self._task: asyncio.Task[None] | None = None
        self.connections = 0
        """How many were taken, whatever came of them."""

    def credentials(self) -> grpc.ServerCredentials:
        # None, as `_fetch` may return, is documented there: it stays as it is.
        fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", self._fetch)
        first = _configuration(*self._in_use)
        return grpc.dynamic_ssl_server_credentials(first, fetch, require_client_authentication=True)

    def follow(self, address: str, port: int) -> None:
        """Begin to replace what changes, in the server that listens there."""
        self._task = asyncio.get_running_loop().create_task(self._run(address, port), name="trust")

    def changed(self) -> None:
        """Take note that the identity or a pin may have changed."""
        self._poke.set()

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        for writer in self._held:
            writer.transport.abort()

    def _wanted(self) -> tuple[KeyPair, str]:
        pair = self._own()
        # Never empty, which would be no configuration; nobody calls with this node's own.
        return pair, "".join(dict.fromkeys((pair.certificate, *self._trusted())))

    def _fetch(self) -> grpc.ServerCertificateConfiguration | None:
        # By a thread of gRPC's, one at a time.
        self.connections += 1
        fresh, self._fresh = self._fresh, None
        return fresh

    async def _run(self, address: str, port: int) -> None:
        failed = False
        while True:
            await self._poke.wait()
            self._poke.clear()
            wanted = self._wanted()
            if wanted == self._in_use:
                continue
            try:
                await self._replace(wanted, address, port)
            except (OSError, TimeoutError) as error:
                if not failed:
                    log.warning("certificates that changed cannot be used yet: %s", str(error) or "the server is busy")
                failed = True
                self._poke.set()
                await asyncio.sleep(_AGAIN_S)
            except Exception:
                log.exception("certificates that changed cannot be used yet")
                self._poke.set()
                await asyncio.sleep(_AGAIN_S)
            else:
                failed = False
                await asyncio.sleep(_TOGETHER_S)

    async def _replace(self, wanted: tuple[KeyPair, str], address: str, port: int) -> None:
        await self._hold(address, port)
        self._fresh = _configuration(*wanted)
        self._in_use = wanted
        await self._hold(address, port)  # at the latest this one is asked by

    async def _hold(self, address: str, port: int) -> None:
        """Begin a handshake, have the server answer, and leave it at that for a while."""
        async with asyncio.timeout(_REPLY_S):
            reader, writer = await asyncio.open_connection(address, port)
            self._held.add(writer)
            asyncio.get_running_loop().call_later(_HELD_S, self._let_go, writer)
            writer.write(_client_hello())
            if not await reader.read(1):
                raise ConnectionResetError("the server hung up")

    def _let_go(self, writer: asyncio.StreamWriter) -> None:
        self._held.discard(writer)
        writer.transport.abort()


def _configuration(pair: KeyPair, roots: str) -> grpc.ServerCertificateConfiguration:
    keys = [(pair.key.encode(), pair.certificate.encode())]
    return grpc.ssl_server_certificate_configuration(keys, roots.encode())


def _client_hello() -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["h2"])
    sent = ssl.MemoryBIO()
    context.check_hostname = False
    begun = context.wrap_bio(ssl.MemoryBIO(), sent)
    with contextlib.suppress(ssl.SSLWantReadError):
        begun.do_handshake()
    return sent.read()
