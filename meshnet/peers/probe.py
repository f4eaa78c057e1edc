"""Does a node answer? A plain TCP connection tells: taken, refused, or nothing; or this node has no means to ask."""

from __future__ import annotations

import asyncio
import contextlib
import enum
import errno
import ipaddress
import select
import socket
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

ATTEMPT_S = 0.5
"""After an attempt until the next, beside it, so that nothing ever waits for the kernel's own next SYN."""
LIMIT_S = 1.1
"""For an answer: more than it takes by a satellite, and short enough to be told before a node is taken for dead."""

_HIGHEST_PORT = 65535
_FROM_THE_NODE = {errno.ECONNREFUSED, errno.ECONNRESET}
_OUR_OWN_WANT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS}
"""What this node has run out of says nothing of the other."""


class Answer(enum.Enum):
    """What came back, the best first."""

    TAKEN = "takes connections"
    REFUSED = "refuses connections"
    UNASKED = "cannot be asked"
    NOTHING = "does not answer"


_BEST_FIRST = list(Answer)


@attrs.frozen
class Probed:
    """What a node answered, and at which of its addresses; and why, where that lies with this node.

    Attributes:
        took_s: until it took a connection, seconds: a round trip of the network, or more.
    """

    answer: Answer
    address: str = ""
    why: str = ""
    took_s: float = attrs.field(default=0.0, eq=False)

    def told(self, node: str, port: int) -> str:
        """Return it in a sentence."""
        why = f" ({self.why})" if self.why else ""
        return f"node {node} {self.answer.value} at {self.address}, TCP port {port}{why}"


async def probe(addresses: Sequence[str], port: int) -> Probed:
    """Connect to all addresses of a node at once; return the first that takes, in their order, else the best answer.

    One that says nothing for `ATTEMPT_S` gives way to any that answers.
    """
    tasks = [asyncio.create_task(_probe(address, port)) for address in addresses]
    try:
        await _in_order(tasks)
        await _first(tasks)
        return _best(tasks)
    finally:
        await _end(tasks)


async def _in_order(tasks: Iterable[asyncio.Task[Probed]]) -> None:
    """Wait until one takes that comes before all that still may, at most `ATTEMPT_S`."""
    loop = asyncio.get_running_loop()
    limit = loop.time() + ATTEMPT_S
    for task in tasks:
        await asyncio.wait({task}, timeout=max(limit - loop.time(), 0.0))
        if task.done() and task.result().answer is Answer.TAKEN:
            return


async def _probe(address: str, port: int) -> Probed:
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    except ValueError:
        return Probed(Answer.NOTHING, address)
    if port > _HIGHEST_PORT:
        return Probed(Answer.NOTHING, address)
    loop = asyncio.get_running_loop()
    began = loop.time()
    attempts: list[asyncio.Task[Probed]] = []
    try:
        while (left := began + LIMIT_S - loop.time()) > 0 and not any(attempt.done() for attempt in attempts):
            attempts.append(asyncio.create_task(_attempt(family, address, port, left)))
            await asyncio.wait(attempts, timeout=min(ATTEMPT_S, left), return_when=asyncio.FIRST_COMPLETED)
        await _first(attempts)
        return attrs.evolve(_best(attempts), took_s=loop.time() - began)
    finally:
        await _end(attempts)


async def _attempt(family: int, address: str, port: int, limit_s: float) -> Probed:
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        return Probed(_answer(error.errno), address, f"this node has no socket for it: {error.strerror}")
    with contextlib.closing(sock):
        return Probed(await _connect(sock, address, port, limit_s), address)


async def _connect(sock: socket.socket, address: str, port: int, limit_s: float) -> Answer:
    try:
        async with asyncio.timeout(limit_s):
            await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except TimeoutError:
        # Our loop may have been late to look.
        late = select.poll()  # select() takes no descriptor above 1023
        late.register(sock, select.POLLOUT)
        if not late.poll(0):
            return Answer.NOTHING
        return _answer(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
    except OSError as error:
        return _answer(error.errno)
    return Answer.TAKEN


def _answer(number: int | None) -> Answer:
    if not number:
        return Answer.TAKEN
    if number in _OUR_OWN_WANT:
        return Answer.UNASKED
    return Answer.REFUSED if number in _FROM_THE_NODE else Answer.NOTHING


async def _first(tasks: Iterable[asyncio.Task[Probed]]) -> None:
    """Wait for one that has an answer, or for all."""
    while (waiting := [task for task in tasks if not task.done()]) and _best(tasks).answer is Answer.NOTHING:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)


def _best(tasks: Iterable[asyncio.Task[Probed]]) -> Probed:
    """Return the best answer of those that are there."""
    found = (task.result() for task in tasks if task.done())
    return min(found, key=lambda probed: _BEST_FIRST.index(probed.answer), default=Probed(Answer.NOTHING))


async def _end(tasks: Collection[asyncio.Task[Probed]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
