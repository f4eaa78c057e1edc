"""What can be done to a node of a lab: to its daemon, and to its uplink."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from meshnet.errors import MeshnetError
from meshnet.lab.uplink import Cut

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from meshnet.lab.node import Node

CUTS: Mapping[str, Cut] = {"": Cut.UNPLUGGED, "in": Cut.IN, "out": Cut.OUT, "both": Cut.BOTH}
"""How a node is isolated, by the direction in which its frames vanish."""


def act(node: Node, action: str, direction: str = "") -> None:
    """Do something to a node; blocks, in the box's network namespace.

    Args:
        node: which.
        action: ``start``, ``stop``, ``kill``, ``isolate`` or ``rejoin``.
        direction: ``in``, ``out`` or ``both``: isolate it by frames that vanish; ``""``: by unplugging the uplink.

    Raises MeshnetError when it did not become true.
    """
    actions: Mapping[str, Callable[[], None]] = {
        "start": lambda: _start(node),
        "stop": lambda: node.stop(signal.SIGTERM),
        "kill": lambda: node.stop(signal.SIGKILL),
        "isolate": lambda: node.uplink.set_cut(CUTS[direction]),
        "rejoin": lambda: node.uplink.set_cut(Cut.NONE),
    }
    if action not in actions:
        raise MeshnetError(f"node {node.name}: {action!r}: must be one of {', '.join(actions)}")
    if direction not in CUTS or (direction and action != "isolate"):
        right = "must be in, out or both" if action == "isolate" else f"{action} has none"
        raise MeshnetError(f"node {node.name}: direction {direction!r}: {right}")
    actions[action]()


def _start(node: Node) -> None:
    node.start()
    node.wait_ready()
