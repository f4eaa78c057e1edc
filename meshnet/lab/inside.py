"""Where `lab exec` runs a command: the namespaces of a pod or of a node, as descriptors, and the environment there."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from meshnet.errors import MeshnetError
from meshnet.lab.enter import path_of
from meshnet.lab.places import STORE
from meshnet.lab.reply import Reply
from meshnet.lab.spawner import environment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from meshnet.lab.node import Node
    from meshnet.lab.podspec import PodSpec

PLACES = ("net", "uts", "ipc", "pid", "mnt", "root")
"""Namespaces by kind and the root directory, in the order of the descriptors of a reply."""


def inside_pod(pod: PodSpec, container: str, pid: int) -> Reply:
    """Return where a pod's process `pid` is, of its `container` or the holder of its namespaces.

    Raises MeshnetError when it has ended meanwhile.
    """
    command = next((each for each in pod.commands if each.name == container), next(iter(pod.commands), None))
    try:
        descriptors = _opened(path_of(pid, place) for place in PLACES)
    except OSError as error:
        raise MeshnetError(f"pod {pod}: its process {pid} has just ended: try again") from error
    return _reply(environment(pod, command), command.directory if command else "", descriptors)


def inside_node(node: Node) -> Reply:
    """Return the namespaces of a node: its own network, and for the rest the box, as its daemon has them.

    Raises MeshnetError when the node is not made yet.
    """
    paths = [str(node.netns_path), *(path_of("self", place) for place in PLACES if place != "net")]
    try:
        descriptors = _opened(paths)
    except OSError as error:
        raise MeshnetError(f"node {node.name}: it is not there yet: {error.strerror}") from error
    # what runs there acts on this node, as its daemon does
    variables = {"MESHNET_STORE": STORE, "MESHNET_SOCKET": str(node.socket), "NODE_NAME": node.name}
    basics = {"PATH": os.environ.get("PATH", os.defpath), "HOME": "/root", "LANG": os.environ.get("LANG", "C.UTF-8")}
    return _reply({**basics, **variables}, "", descriptors, own_sysfs=True)


def _reply(variables: dict[str, str], directory: str, descriptors: tuple[int, ...], **more: Any) -> Reply:
    return Reply({"environment": variables, "directory": directory, **more}, descriptors)


def _opened(paths: Iterable[str]) -> tuple[int, ...]:
    """Open all or none. Raises OSError."""
    with contextlib.ExitStack() as undo:
        descriptors = []
        for path in paths:
            descriptors.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            undo.callback(os.close, descriptors[-1])
        undo.pop_all()
    return tuple(descriptors)
