"""Checkpoints: a file a sandbox, written before its ADD is answered, read when the daemon starts.

They hold what the kernel cannot tell: which pod a sandbox without links belongs to, where its namespace is, what of the
spec was last applied to its interfaces, and whom on another node they are patched to.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import logging
import os
from typing import TYPE_CHECKING, Any

from meshnet.errors import KernelError
from meshnet.model import rules
from meshnet.model.topology import MAX_EPOCH, Endpoint
from meshnet.presence import exists
from meshnet.reconcile.end import Applied, End, Joint
from meshnet.reconcile.keptfile import file_of
from meshnet.reconcile.sandbox import Sandbox, SandboxKey
from meshnet.wholefile import write_whole

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

log = logging.getLogger(__name__)

VERSION = 1
_IN_WANT = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Say nothing of a file."""
_LARGEST = (1 << 31) - 1
"""Index, MTU, and number of a namespace that the kernel knows."""
_UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


class Checkpoints:
    """The directory of checkpoints."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._owed: dict[SandboxKey, Sandbox] = {}
        self._unwanted: set[Path] = set()
        self._turn: asyncio.Handle | None = None
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save(self, sandbox: Sandbox) -> None:
        """Write a sandbox's checkpoint, whole or not at all. Raises KernelError when it cannot be written."""
        path = self._path(sandbox.key)
        try:
            write_whole(path, json.dumps(_encode(sandbox)).encode())
        except OSError as error:
            raise KernelError(error.errno or errno.EIO, f"write the checkpoint {path}") from error
        self._owed.pop(sandbox.key, None)
        self._unwanted.discard(path)

    def save_soon(self, sandbox: Sandbox) -> None:
        """Write a checkpoint once for all that this turn of the loop changes; later if it cannot be written.

        No later than that: of what was changed and not kept, a killed daemon's successor would not undo anything.
        """
        self._owed[sandbox.key] = sandbox
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_soon(self.write_owed)

    def write_owed(self) -> None:
        """Write what is due. What cannot be written is logged, and stays due until the next time."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        for sandbox in list(self._owed.values()):
            try:
                self.save(sandbox)
            except KernelError as error:
                log.error("%s/%s: %s", sandbox.namespace, sandbox.pod, error)
        self._remove_unwanted()

    def catch_up(self, sandboxes: Iterable[Sandbox]) -> None:
        """Write what is due, and what somebody removed: a daemon that starts knows less without it.

        Raises OSError when the directory cannot be used.
        """
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        there = set(os.listdir(self._directory))
        for sandbox in sandboxes:
            if sandbox.handed is None and self._path(sandbox.key).name not in there:
                self._owed[sandbox.key] = sandbox
        self.write_owed()

    def remove(self, key: SandboxKey) -> None:
        """Remove a checkpoint; later if it cannot be removed now: that keeps no pod from going."""
        self._owed.pop(key, None)
        self._unwanted.add(self._path(key))
        self._remove_unwanted()

    def load(self) -> list[Sandbox]:
        """Return every sandbox there is a checkpoint of; a file that cannot be read is set aside and reported.

        What a killed daemon was just writing goes. Raises OSError when this daemon can read none just now.
        """
        # Not by `glob`, to which a directory that cannot be read is an empty one.
        paths = [self._directory / name for name in sorted(os.listdir(self._directory))]
        for path in paths:
            if path.suffix == ".new":
                with contextlib.suppress(OSError):
                    path.unlink()
        found = []
        for path in (path for path in paths if path.suffix == ".json"):
            try:
                found.append(self._read(path))
            except _UNREADABLE as error:
                if isinstance(error, OSError) and error.errno in _IN_WANT:
                    raise
                log.error("checkpoint %s cannot be read and is set aside: %r", path, error)
                with contextlib.suppress(OSError):
                    path.replace(path.with_suffix(".broken"))
        return found

    def _remove_unwanted(self) -> None:
        for path in list(self._unwanted):
            try:
                path.unlink(missing_ok=True)
            except OSError as error:
                log.error("checkpoint %s cannot be removed yet: %s", path, error)
            else:
                self._unwanted.discard(path)

    def _read(self, path: Path) -> Sandbox:
        sandbox = _decode(json.loads(path.read_bytes()))
        own = self._path(sandbox.key)
        if own != path and exists(own):  # somebody's copy, of which one port would be two sandboxes'
            raise ValueError(f"it is of the same sandbox as {own.name}")
        return sandbox

    def _path(self, key: SandboxKey) -> Path:
        return file_of(self._directory, key)


def _encode(sandbox: Sandbox) -> dict[str, Any]:
    return {
        "version": VERSION,
        "key": sandbox.key,
        "namespace": sandbox.namespace,
        "pod": sandbox.pod,
        "pod_uid": sandbox.pod_uid,
        "netns": sandbox.netns,
        "netns_id": sandbox.netns_id,
        "nsid": sandbox.nsid,
        "epoch": sandbox.epoch,
        "claimed": sandbox.claimed,
        "ends": {interface: _encode_end(end) for interface, end in sandbox.ends.items()},
    }


def _encode_end(end: End) -> dict[str, Any]:
    applied = end.applied
    return {
        "uid": applied.uid,
        "mac": applied.mac,
        "mtu": applied.mtu,
        "addresses": applied.addresses,
        "driver": applied.driver,
        "interface": end.interface,
        "joint": _encode_joint(end.joint),
    }


def _encode_joint(joint: Joint | None) -> list[Any] | None:
    if joint is None or joint.peer is None:
        return None
    return [joint.peer.namespace, joint.peer.pod, joint.peer.interface, joint.epoch]


def _decode_joint(saved: Any) -> Joint | None:
    if not saved:  # an older daemon wrote none
        return None
    *peer, epoch = saved
    return Joint(Endpoint(*map(_name, peer)), _number(epoch, MAX_EPOCH))


def _decode(saved: dict[str, Any]) -> Sandbox:
    # Of any version: fields are only added, and a pod's interfaces must not hang on which daemon wrote of them.
    device, inode = saved["netns_id"]
    sandbox = Sandbox(
        key=SandboxKey(*map(_name, saved["key"])),
        namespace=_name(saved["namespace"]),
        pod=_name(saved["pod"]),
        pod_uid=_name(saved["pod_uid"]),
        netns=_path(saved["netns"]),
        netns_id=(int(device), int(inode)),
        nsid=_number(saved["nsid"], _LARGEST, least=-1),
        epoch=_number(saved["epoch"], MAX_EPOCH),
        claimed=_decode_claimed(saved.get("claimed")),
    )
    for interface, end in saved["ends"].items():
        sandbox.ends[interface] = _decode_end(sandbox, _name(interface), end)
    return sandbox


def _decode_claimed(saved: Any) -> str | None:
    return saved if isinstance(saved, str) else None  # an older daemon wrote none


def _name(saved: Any) -> str:
    return _path(saved.encode().decode())


def _path(saved: Any) -> str:
    """Return a path, which need not be UTF-8."""
    if not isinstance(saved, str) or b"\0" in os.fsencode(saved):
        raise ValueError(f"{saved!r}: a path or a name")
    return saved


def _number(saved: Any, most: int, *, least: int = 0) -> int:
    """Return a number that the kernel and the store may be given."""
    if type(saved) is not int or not least <= saved <= most:
        raise ValueError(f"{saved!r}: a whole number from {least} to {most}")
    return saved


def _decode_end(sandbox: Sandbox, interface: str, saved: dict[str, Any]) -> End:
    applied = Applied(
        uid=int(saved["uid"]),
        mac=_name(saved["mac"]),
        mtu=_number(saved["mtu"], _LARGEST),
        addresses=tuple(map(rules.cidr, saved["addresses"])),
        driver=_name(saved["driver"]),
    )
    endpoint = Endpoint(sandbox.namespace, sandbox.pod, interface)
    joint = _decode_joint(saved.get("joint"))
    return End(endpoint, sandbox, applied, interface=_number(saved["interface"], _LARGEST), joint=joint)
