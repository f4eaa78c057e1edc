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
    from collections.abc import Sequence

ATTEMPT_S = 0.5
"""One attempt; another follows soon, so that nothing ever waits for the kernel's own next SYN."""

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
    """What a node answered, and at which of its addresses; and why, where that lies with this node."""

    answer: Answer
    address: str = ""
    why: str = ""

    def told(self, node: str, port: int) -> str:
        """Return it in a sentence."""
        why = f" ({self.why})" if self.why else ""
        return f"node {node} {self.answer.value} at {self.address}, TCP port {port}{why}"


async def probe(addresses: Sequence[str], port: int) -> Probed:
    """Connect to all addresses of a node at once; return the first that takes, in their order, else the best answer."""
    tasks = [asyncio.create_task(_probe(address, port)) for address in addresses]
    found: list[Probed] = []
    try:
        for task in tasks:
            found.append(await task)
            if found[-1].answer is Answer.TAKEN:
                break
        return min(found, key=lambda probed: _BEST_FIRST.index(probed.answer), default=Probed(Answer.NOTHING))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _probe(address: str, port: int) -> Probed:
    try:
        family = socket.AF_INET6 if ipaddress.ip_address(address).version == 6 else socket.AF_INET
    except ValueError:
        return Probed(Answer.NOTHING, address)
    if port > _HIGHEST_PORT:
        return Probed(Answer.NOTHING, address)
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        return Probed(_answer(error.errno), address, f"this node has no socket for it: {error.strerror}")
    with contextlib.closing(sock):
        return Probed(await _connect(sock, address, port), address)


async def _connect(sock: socket.socket, address: str, port: int) -> Answer:
    try:
        async with asyncio.timeout(ATTEMPT_S):
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
