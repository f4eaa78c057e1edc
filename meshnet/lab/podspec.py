"""A pod as the lab runs it: what a manifest says, reduced to what has a meaning without images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.model.topology import PodKey


NODE = "\0node\0"
"""Stands for the pod's node, known when it starts, in commands, environment and sub paths: none has a zero byte."""


@attrs.frozen
class Volume:
    """A directory that containers mount.

    Attributes:
        files: content by relative path (ConfigMap); None for an empty directory to write in (emptyDir).
        mode: permission bits of the files, but for those in `modes`.
    """

    name: str
    files: Mapping[str, bytes] | None
    mode: int = 0o644
    modes: Mapping[str, int] = attrs.field(factory=dict)

    def mode_of(self, file: str) -> int:
        return self.modes.get(file, self.mode)


@attrs.frozen
class VolumeMount:
    """Where a container sees a volume, or with `sub_path` one file or directory of it."""

    volume: str
    path: str
    sub_path: str = ""
    read_only: bool = False


@attrs.frozen
class Container:
    """A command of a pod.

    Attributes:
        argv: the program of the machine and its arguments, expanded; empty when the manifest names no command.
        env: what the manifest sets, expanded.
        directory: where it starts, ``""`` for ``/``.
    """

    name: str
    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = attrs.field(factory=dict)
    directory: str = ""
    mounts: tuple[VolumeMount, ...] = ()

    def on(self, node: str) -> Container:
        """Return the container as it is on a node."""
        return attrs.evolve(
            self,
            argv=tuple(word.replace(NODE, node) for word in self.argv),
            env={name: value.replace(NODE, node) for name, value in self.env.items()},
            mounts=tuple(attrs.evolve(each, sub_path=each.sub_path.replace(NODE, node)) for each in self.mounts),
        )


@attrs.frozen
class PodSpec:
    """A pod of a lab.

    Attributes:
        node: where the manifest wants it, or None; of one that was started, where it is.
        hostname: what `hostname` prints in it.
        restart: ``Always``, ``OnFailure`` or ``Never``: what follows the end of a command.
        grace_s: seconds between SIGTERM and SIGKILL when it is stopped.
    """

    namespace: str
    name: str
    hostname: str
    node: str | None = None
    containers: tuple[Container, ...] = ()
    volumes: tuple[Volume, ...] = ()
    restart: str = "Always"
    grace_s: float = 30.0

    @property
    def key(self) -> PodKey:
        return self.namespace, self.name

    @property
    def commands(self) -> tuple[Container, ...]:
        """The containers that have something to run."""
        return tuple(container for container in self.containers if container.argv)

    def on(self, node: str) -> PodSpec:
        """Return the pod as it is on a node."""
        return attrs.evolve(self, node=node, containers=tuple(container.on(node) for container in self.containers))

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
