"""Topologies that are invalid now, as they last were valid: their links stay wired over a restart of the daemon, too.

A file each, written when one becomes invalid and removed when it is valid again or gone: there hardly ever is one.
"""

from __future__ import annotations

import contextlib
import json
import logging
from typing import TYPE_CHECKING

from meshnet.errors import InvalidObject
from meshnet.model.codec import decode_topology
from meshnet.model.resource import Kind, Resource
from meshnet.reconcile.keptfile import file_of
from meshnet.wholefile import write_whole

if TYPE_CHECKING:
    from collections.abc import Container
    from pathlib import Path

    from meshnet.model.topology import PodKey, Topology

log = logging.getLogger(__name__)


class LastValid:
    """The directory of such files, which exists only while there is one. What cannot be read or written is logged."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[PodKey, Resource] = {}
        for path in sorted(directory.glob("*.json")):
            try:
                resource = Resource(Kind.TOPOLOGY, json.loads(path.read_bytes()))
                if self._path(resource.key) != path:
                    raise ValueError(f"it is of {resource}")
                self._known[resource.key] = resource
            except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                log.error("%s: a Topology as it last was valid cannot be read: %r", path, error)

    def keep(self, resource: Resource) -> None:
        """Keep a Topology that was valid and is not any more."""
        self._known[resource.key] = resource
        self._write(resource)

    def catch_up(self) -> None:
        """Write again what somebody removed."""
        for key, resource in self._known.items():
            if not self._path(key).exists():
                self._write(resource)

    def _write(self, resource: Resource) -> None:
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_whole(self._path(resource.key), json.dumps(resource.document).encode())
        except OSError as error:
            log.error("%s, as it last was valid, is not kept: %s", resource, error)

    def drop(self, key: PodKey) -> None:
        """Forget one that is valid again, or gone."""
        if self._known.pop(key, None) is not None:
            with contextlib.suppress(OSError):
                self._path(key).unlink(missing_ok=True)
                self._directory.rmdir()

    def keep_only(self, keys: Container[PodKey]) -> None:
        """Forget those that are gone."""
        for key in [key for key in self._known if key not in keys]:
            self.drop(key)

    def topology(self, now: Resource) -> Topology | None:
        """Return what an object that is invalid now last declared, if that is known."""
        before = self._known.get(now.key)
        if before is None or before.uid != now.uid:
            return None
        try:
            return decode_topology(before.document)
        except InvalidObject:  # by the rules of this version
            return None

    def _path(self, key: PodKey) -> Path:
        return file_of(self._directory, key)
