"""What the supervisor is asked to bring up: everything that was decided before the box was made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.lab.underlay import Underlay

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from meshnet.lab.podspec import PodSpec
    from meshnet.model.topology import PodKey


@attrs.frozen
class LabPlan:
    """A lab to bring up.

    Attributes:
        name: of the lab, and the hostname of its box.
        nodes: their names, in order.
        pods: all pods, by (namespace, name).
        placement: node of each pod.
        topologies: documents for the store.
        plugin: the CNI plugin's program.
        primary: ``none`` or ``bridge``.
        underlay: between the nodes.
        settings: more environment for the daemon of each node, by its name.
        wait_s: how long all links may take to come up, and before that each daemon to start, if not less than usual.
    """

    name: str
    nodes: tuple[str, ...]
    pods: Mapping[PodKey, PodSpec]
    placement: Mapping[PodKey, str]
    topologies: tuple[Mapping[str, Any], ...]
    plugin: Path
    primary: str = "none"
    underlay: Underlay = attrs.field(factory=Underlay)
    settings: Mapping[str, Mapping[str, str]] = attrs.field(factory=dict)
    wait_s: float = 30.0
