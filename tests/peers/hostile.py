"""What may call a daemon that is not one: plain sockets, old TLS, calls that a daemon would not make."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Any

import grpc

from meshnet.peers import wiring
from meshnet.peers.identity import Identity
from meshnet.peers.messages import Hello, encode_hello
from meshnet.peers.trust import Trust
from tests.peers.daemons import started

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from tests.peers.daemons import Daemon


@contextlib.asynccontextmanager
async def calling(daemon: Daemon, identity: Identity, method: str = "Session", **arguments: Any) -> AsyncIterator[Any]:
    """A call to a daemon with some identity."""
    target = wiring.target("127.0.0.1", daemon.peers.port)
    trusted = daemon.identity.certificates()
    channel = wiring.stream_channel(target, identity.current, daemon.name, trusted)
    call = channel.stream_stream(f"/{wiring.SERVICE}/{method}")(**arguments)
    try:
        yield call
    finally:
        call.cancel()
        await channel.close()


async def refusal(call: Any, *messages: bytes) -> tuple[grpc.StatusCode, str]:
    """How a call ends that is refused."""
    try:
        for message in messages:
            await call.write(message)
        while await call.read() is not grpc.aio.EOF:
            pass
    except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
        pass
    return await call.code(), await call.details()


def hello(name: str) -> bytes:
    return encode_hello(Hello(name))


@contextlib.asynccontextmanager
async def serving(identity: Identity, trusted: Iterable[str], answer: Any) -> AsyncIterator[int]:
    """A server that says it is some node, and answers sessions as it likes; its port."""
    server = grpc.aio.server(options=wiring.server_options())
    handlers = {"Session": grpc.stream_stream_rpc_method_handler(answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(wiring.SERVICE, handlers),))
    trust = Trust(lambda: identity.current, lambda: trusted)
    port = server.add_secure_port("127.0.0.1:0", trust.credentials())
    await server.start()
    try:
        yield port
    finally:
        await server.stop(0)


@contextlib.asynccontextmanager
async def dialling(path: Any, answer: Any, **times: float) -> AsyncIterator[Daemon]:
    """A daemon that dials a node which answers sessions as it likes."""
    one, other = await started(path, "a", **times), Identity(path / "b", "b")
    async with serving(other, one.identity.certificates(), answer) as port:
        one.peers.record("b", one.record(port=port, certificates=other.certificates()))
        one.peers.want(frozenset({"b"}))
        yield one


def call_by_tls(daemon: Daemon, path: Any, version: ssl.TLSVersion) -> dict[bytes, bytes]:
    """Call a daemon by hand, since gRPC speaks the newest TLS alone, with the identity in a file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(path)
    with socket.create_connection(("127.0.0.1", daemon.peers.port), 10) as plain, context.wrap_socket(plain) as sock:
        fields = {
            b":method": b"POST",
            b":scheme": b"https",
            b":path": f"/{wiring.SERVICE}/Session".encode(),
            b":authority": daemon.name.encode(),
            b"te": b"trailers",
            b"content-type": b"application/grpc",
        }
        headers = b"".join(b"\x00" + _string(name) + _string(value) for name, value in fields.items())
        message = hello("a")
        data = b"\x00" + struct.pack(">I", len(message)) + message
        sock.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b""))
        sock.sendall(_frame(1, 4, 1, headers) + _frame(0, 0, 1, data))
        return _first_data_or_end(sock)


def _string(value: bytes) -> bytes:
    assert len(value) < 127
    return bytes([len(value)]) + value


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def _first_data_or_end(sock: ssl.SSLSocket) -> dict[bytes, bytes]:
    """Read frames: a message, or the block of headers that ends the call, as it is."""
    buffer = b""
    while True:
        while len(buffer) >= 9:
            length, kind, flags = int.from_bytes(buffer[:3], "big"), buffer[3], buffer[4]
            if len(buffer) < 9 + length:
                break
            payload, buffer = buffer[9 : 9 + length], buffer[9 + length :]
            if kind == 0 and length:
                return {b"data": payload[5:]}
            if kind == 1 and flags & 1:
                return {b"end": payload}
        piece = sock.recv(1 << 16)
        if not piece:
            return {}
        buffer += piece


class Proxy:
    """Between two daemons; it can stop forwarding, and stop answering altogether."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._full: list[socket.socket] = []
        self.goes = asyncio.Event()
        self.port = 0

    async def start(self) -> int:
        self.goes.set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, reuse_address=True)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    def freeze(self) -> None:
        """Take connections and forward nothing, as a process does that is stopped."""
        self.goes.clear()

    async def refuse(self) -> None:
        """End all, and refuse what comes."""
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def vanish(self) -> None:
        """Answer nothing any more: a listening socket whose queue is full drops every SYN."""
        self.freeze()
        assert self._server is not None
        self._server.close()
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(0)
        self._full = [listener]
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", self.port))
            self._full.append(sock)

    async def stop(self) -> None:
        for sock in self._full:
            sock.close()
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError), self._held(writer):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._to)
            with self._held(far_writer):
                there = asyncio.ensure_future(self._pump(reader, far_writer))
                back = asyncio.ensure_future(self._pump(far_reader, writer))
                try:
                    await asyncio.wait({there, back}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for pump in (there, back):
                        pump.cancel()
                    await asyncio.gather(there, back, return_exceptions=True)

    @contextlib.contextmanager
    def _held(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            writer.transport.abort()
            self._writers.discard(writer)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while piece := await reader.read(1 << 16):
            await self.goes.wait()
            writer.write(piece)
            await writer.drain()
