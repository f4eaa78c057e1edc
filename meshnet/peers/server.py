"""The server that other nodes' daemons call."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING

import grpc

from meshnet.errors import MeshnetError
from meshnet.peers import wiring
from meshnet.peers.door import begun
from meshnet.peers.messages import agree, decode_hello, encode_hello
from meshnet.peers.subscribers import Subscriber

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from meshnet.peers.book import Book
    from meshnet.peers.door import Caller, Context, Door
    from meshnet.peers.messages import Hello
    from meshnet.peers.subscribers import Subscribers

    Handler = Callable[[object, Context], Awaitable[None]]

HELLO_S = 5.0
_LONGEST_HELLO = 64 << 10
_CALLS = 8192


class SessionCalls:
    """Answers subscriptions: a hello each way, then what there is to tell."""

    def __init__(self, door: Door, hello: Hello, book: Book, subscribers: Subscribers) -> None:
        self._door = door
        self._hello = hello
        self._book = book
        self._subscribers = subscribers

    async def handle(self, _requests: object, context: Context) -> None:
        await self._door.serve(context, lambda caller: self._serve(caller, context))

    async def _serve(self, caller: Caller, context: Context) -> None:
        theirs = await self._greet(caller, context)
        await begun(context.write(encode_hello(self._hello)))
        if agree(self._hello.protocol, theirs.protocol) is None:
            detail = f"it speaks protocol {theirs.protocol}, this node {self._hello.protocol}"
            await self._door.refuse(context, grpc.StatusCode.FAILED_PRECONDITION, "PeerVersion", detail)
        task = asyncio.current_task()
        assert task is not None
        subscriber = Subscriber(self._book.states_for(caller.node))
        try:
            with self._subscribers.subscribed(caller.node, subscriber, task.cancel):
                await subscriber.run(context.write)
        except TimeoutError:
            detail = "it does not read what it subscribed to"
            await self._door.refuse(context, grpc.StatusCode.RESOURCE_EXHAUSTED, "Stalled", detail)

    async def _greet(self, caller: Caller, context: Context) -> Hello:
        try:
            async with asyncio.timeout(HELLO_S):
                message = await context.read()
            if not isinstance(message, bytes) or len(message) > _LONGEST_HELLO:
                raise ValueError("no hello")
            hello = decode_hello(message)
        except (ValueError, TimeoutError) as error:
            detail = f"its first message: {str(error) or 'none came'}"
            await self._door.refuse(context, grpc.StatusCode.INVALID_ARGUMENT, "Malformed", detail)
        if hello.node != caller.node:
            detail = f"node {caller.node} calls itself {hello.node}"
            await self._door.refuse(context, grpc.StatusCode.PERMISSION_DENIED, "OtherName", detail)
        return hello


class PeerServer:
    """Listens; one a daemon."""

    def __init__(self, credentials: grpc.ServerCredentials, **calls: Handler) -> None:
        self._server = grpc.aio.server(options=wiring.server_options(), maximum_concurrent_rpcs=_CALLS)
        handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
            name: grpc.stream_stream_rpc_method_handler(call) for name, call in calls.items()
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(wiring.SERVICE, handlers),))
        self._credentials = credentials

    async def start(self, address: str, port: int) -> int:
        """Listen on an address (``""``: all) and a port (0: any), and return the port. Raises MeshnetError."""
        host = address or "::"
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            listening = self._server.add_secure_port(where, self._credentials)
        except RuntimeError:
            listening = 0
        if not listening:
            raise MeshnetError(
                f"peers cannot reach this node at {address or 'any address'}, TCP port {port}: {_why_not(host, port)};"
                " MESHNET_PORT names another port"
            )
        await self._server.start()
        return listening

    async def stop(self) -> None:
        await self._server.stop(0)


def _why_not(host: str, port: int) -> str:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((host, port))
            sock.listen()
    except OSError as error:
        number = error.errno or 0
        return f"{os.strerror(number)} ({errno.errorcode.get(number, number)})"
    return "it was in use a moment ago"
