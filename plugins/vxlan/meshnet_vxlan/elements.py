"""Elements of a set in nf_tables, added and deleted by a message of our own.

libnftables reads all chains of the node before it does anything, and a proxy of services may have tens of thousands:
with a thousand of them an element took 0.7 ms, once a link, while the daemon does nothing else. This takes 0.03 ms,
whatever else is there.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING

from meshnet.netlink import wire
from meshnet.netlink.messages import failure, split
from meshnet_vxlan.nftables import NftError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NETLINK_NETFILTER = 12
_NF_TABLES = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_GET_TABLE = _NF_TABLES << 8 | 1
_NEW_ELEMENT, _DELETE_ELEMENT = _NF_TABLES << 8 | 12, _NF_TABLES << 8 | 14
_INET = 1
_TABLE, _SET, _ELEMENTS = 1, 2, 3
_TABLE_NAME = _LIST_ELEMENT = _KEY = _DATA_VALUE = 1
_FAMILY = struct.Struct(">BBH")
"""struct nfgenmsg: the family, the version, and of a batch who it is for."""
_ANSWER_S = 2.0
_ROOM = 1 << 16


class Elements:
    """Changes the sets of one table of the family ``inet``.

    It acts in the network namespace that the calling thread is in when this is made. Raises NftError when there are no
    netfilter sockets.
    """

    def __init__(self, table: str) -> None:
        self._table = table
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, _NETLINK_NETFILTER)
        except OSError as error:
            raise NftError(f"netfilter sockets: {error.strerror}") from error
        self._socket.settimeout(_ANSWER_S)
        self._sequence = 0

    def add(self, elements: Mapping[str, Sequence[bytes]]) -> None:
        """Add keys to sets, by the sets' names, in one step or not at all; one that is there is no error.

        Raises NftError.
        """
        self._change(_NEW_ELEMENT, wire.NLM_F_CREATE, elements)

    def delete(self, elements: Mapping[str, Sequence[bytes]]) -> None:
        """Delete keys from sets, in one step or not at all; one that is not there is an error. Raises NftError."""
        self._change(_DELETE_ELEMENT, 0, elements)

    def exists(self) -> bool:
        """Tell whether the table is there. Raises NftError."""
        body = _FAMILY.pack(_INET, 0, 0) + wire.string(_TABLE_NAME, self._table)
        try:
            self._socket.send(self._message(_GET_TABLE, wire.NLM_F_ACK, body))
            self._wait(self._sequence, 1)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return False
            raise self._refused(error) from error
        return True

    def close(self) -> None:
        self._socket.close()

    def _change(self, kind: int, flags: int, elements: Mapping[str, Sequence[bytes]]) -> None:
        named = [(name, keys) for name, keys in elements.items() if keys]
        first = self._sequence + 1
        parts = [self._message(_BATCH_BEGIN, 0, _FAMILY.pack(0, 0, _NF_TABLES))]
        parts += [self._message(kind, flags | wire.NLM_F_ACK, self._body(name, keys)) for name, keys in named]
        parts.append(self._message(_BATCH_END, 0, _FAMILY.pack(0, 0, _NF_TABLES)))
        try:
            self._socket.send(b"".join(parts))
            self._wait(first, len(named))
        except OSError as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> NftError:
        return NftError(f"table inet {self._table}: {error.strerror or error}")

    def _message(self, kind: int, flags: int, body: bytes) -> bytes:
        self._sequence += 1
        length = wire.HEADER.size + len(body)
        return wire.HEADER.pack(length, kind, flags | wire.NLM_F_REQUEST, self._sequence, 0) + body

    def _body(self, name: str, keys: Sequence[bytes]) -> bytes:
        listed = [wire.nested(_LIST_ELEMENT, wire.nested(_KEY, wire.attribute(_DATA_VALUE, key))) for key in keys]
        head = _FAMILY.pack(_INET, 0, 0)
        return head + wire.string(_TABLE, self._table) + wire.string(_SET, name) + wire.nested(_ELEMENTS, *listed)

    def _wait(self, first: int, waiting: int) -> None:
        """Return when so many messages of a batch are acknowledged. Raises OSError.

        Args:
            first: the batch's first sequence number; what is older answers a batch that has failed.
            waiting: how many.
        """
        while waiting:
            for message in split(self._socket.recv(_ROOM)):
                if message.sequence < first or message.type != wire.NLMSG_ERROR:
                    continue
                error = failure(message, self._table)
                if error is not None:
                    raise OSError(error.errno, os.strerror(error.errno))
                waiting -= 1
