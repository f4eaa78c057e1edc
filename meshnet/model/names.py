"""Names and marks of what meshnet makes in a kernel: pure functions, the same answer on every node and after a restart.

A name says nothing by itself (a hash has no meaning); whose a device is, its alias says: see `Mark`.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from meshnet.model.topology import Endpoint

MAX_ALIAS = 255
"""Bytes of an interface alias (`IFALIASZ` without its NUL)."""

_MARK = re.compile(
    r"meshnet:1 (?P<namespace>[^\s/]+)/(?P<pod>[^\s/]+) (?P<interface>\S+) (?P<uid>0|[1-9][0-9]{0,18})"
    r" (?P<container_id>\S+)",
    re.ASCII,
)
_HASH = 16
"""Hex digits that stand for the rest of a name that is too long."""
_LONGEST = 72
"""Characters of a pod's name, and of a container id, when the whole would not fit; then it never exceeds 255."""


def port_name(container_id: str, interface: str) -> str:
    """The port of an interface of a sandbox: 14 bytes, ``mn`` and 12 hex digits.

    By container id, not by pod: an old sandbox's port never stands in the way of its successor's.
    """
    return "mn" + _digest(b"port", container_id, interface).hex()[:12]


def pod_mac(namespace: str, pod: str, interface: str) -> str:
    """The MAC of a pod's interface that is given none: the same after every restart of the pod."""
    return _local_mac(0x02, _digest(b"pod mac", namespace, pod, interface))


def port_mac(container_id: str, interface: str) -> str:
    """The MAC of a port; it can never be one that `pod_mac` gives."""
    return _local_mac(0x06, _digest(b"port mac", container_id, interface))


def _local_mac(first: int, digest: bytes) -> str:
    """Locally administered and unicast; bits 2 and 3 tell for what it was made, so two sorts never meet."""
    return bytes([first | (digest[0] & 0xF0), *digest[1:6]]).hex(":")


def _digest(sort: bytes, *parts: str) -> bytes:
    """No part can contain a NUL, so different parts never give the same bytes."""
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16, person=sort).digest()


@attrs.frozen
class Mark:
    """Whose a device of meshnet's is, as its alias tells: each device can be read from the kernel alone.

    What is too long for an alias is cut and ends in ``~`` and a hash; no pod name contains a ``~``. Compare with
    `is_of` and `is_in`, which know that.

    Attributes:
        namespace, pod, interface: the endpoint it was made for.
        uid: of the link it was made for.
        container_id: the sandbox it was made for.
    """

    namespace: str
    pod: str
    interface: str
    uid: int
    container_id: str

    @classmethod
    def of(cls, endpoint: Endpoint, uid: int, container_id: str) -> Mark:
        """The mark of what is made for that endpoint."""
        return cls(endpoint.namespace, endpoint.pod, endpoint.interface, uid, container_id)

    @property
    def alias(self) -> str:
        """The mark as an interface alias, at most 255 bytes."""
        whole = self._text(self.pod, self.container_id)
        if len(whole.encode()) <= MAX_ALIAS:
            return whole
        return self._text(_cut(self.pod), _cut(self.container_id))

    def _text(self, pod: str, container_id: str) -> str:
        return f"meshnet:1 {self.namespace}/{pod} {self.interface} {self.uid} {container_id}"

    def is_of(self, endpoint: Endpoint) -> bool:
        """Whether it was made for that endpoint."""
        return (
            self.namespace == endpoint.namespace
            and self.interface == endpoint.interface
            and _stands_for(self.pod, endpoint.pod)
        )

    def is_in(self, container_id: str) -> bool:
        """Whether it was made for that sandbox."""
        return _stands_for(self.container_id, container_id)


def parse_mark(alias: str) -> Mark | None:
    """Return the mark in an alias; None for an alias that meshnet did not write."""
    found = _MARK.fullmatch(alias)
    if found is None:
        return None
    parts = found.groupdict()
    return Mark(parts["namespace"], parts["pod"], parts["interface"], int(parts["uid"]), parts["container_id"])


def of_one_sandbox(alias: str, other: str) -> bool:
    """Tell whether two marks are of one sandbox. What is cut in one of them may stand whole in the other."""
    mine, yours = parse_mark(alias), parse_mark(other)
    if mine is None or yours is None:
        return False
    return mine.is_in(yours.container_id) or yours.is_in(mine.container_id)


def _cut(name: str) -> str:
    """A name in few enough bytes: whole, or its beginning with a hash of the whole."""
    if len(name) <= _LONGEST:
        return name
    return f"{name[: _LONGEST - _HASH - 1]}~{_digest(b'cut', name).hex()[:_HASH]}"


def _stands_for(written: str, name: str) -> bool:
    return written == name or ("~" in written and written == _cut(name))
