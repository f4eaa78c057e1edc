"""Checkpoints: a file a sandbox, written before its ADD is answered, read when the daemon starts.

They hold what the kernel cannot tell: which pod a sandbox without links belongs to, where its namespace is, and what of
the spec was last applied to its interfaces.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from typing import TYPE_CHECKING, Any

from meshnet.model.topology import Endpoint
from meshnet.reconcile.state import Applied, End, Sandbox, SandboxKey

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

VERSION = 1


class Checkpoints:
    """The directory of checkpoints."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save(self, sandbox: Sandbox) -> None:
        """Write a sandbox's checkpoint, whole or not at all."""
        path = self._path(sandbox.key)
        fresh = path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, json.dumps(_encode(sandbox)).encode())
        finally:
            os.close(descriptor)
        fresh.replace(path)

    def remove(self, key: SandboxKey) -> None:
        self._path(key).unlink(missing_ok=True)

    def load(self) -> list[Sandbox]:
        """Return every sandbox there is a checkpoint of; a file that cannot be read is set aside and reported."""
        found = []
        for path in sorted(self._directory.glob("*.json")):
            try:
                found.append(_decode(json.loads(path.read_bytes())))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                log.error("checkpoint %s cannot be read and is set aside: %r", path, error)
                path.replace(path.with_suffix(".broken"))
        return found

    def _path(self, key: SandboxKey) -> Path:
        # Names from outside never reach a path.
        return self._directory / (hashlib.blake2b("\0".join(key).encode(), digest_size=16).hexdigest() + ".json")


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
    }


def _decode(saved: dict[str, Any]) -> Sandbox:
    if saved["version"] != VERSION:
        raise ValueError(f"version {saved['version']!r}; this daemon reads {VERSION}")
    device, inode = saved["netns_id"]
    sandbox = Sandbox(
        key=SandboxKey(*saved["key"]),
        namespace=saved["namespace"],
        pod=saved["pod"],
        pod_uid=saved["pod_uid"],
        netns=saved["netns"],
        netns_id=(int(device), int(inode)),
        nsid=int(saved["nsid"]),
        epoch=int(saved["epoch"]),
    )
    for interface, end in saved["ends"].items():
        sandbox.ends[interface] = _decode_end(sandbox, interface, end)
    return sandbox


def _decode_end(sandbox: Sandbox, interface: str, saved: dict[str, Any]) -> End:
    applied = Applied(
        uid=int(saved["uid"]),
        mac=saved["mac"],
        mtu=int(saved["mtu"]),
        addresses=tuple(saved["addresses"]),
        driver=saved["driver"],
    )
    endpoint = Endpoint(sandbox.namespace, sandbox.pod, interface)
    return End(endpoint, sandbox, applied, interface=int(saved["interface"]))
