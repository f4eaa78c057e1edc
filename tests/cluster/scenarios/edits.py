"""Edits of a running pod's link."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.cluster.scenarios.space import Space


def edit(space: Space, pod: str, **fields: object) -> None:
    """Change fields of a pod's first link."""
    first, *others = space.get("topology", pod)["spec"]["links"]
    patch = {"spec": {"links": [{**first, **fields}, *others]}}
    space.kubectl("patch", "topology", pod, "--type=merge", "--patch", json.dumps(patch))


def addresses(space: Space, pod: str, interface: str = "eth1") -> list[str]:
    """The IPv4 addresses that an interface has in its pod."""
    lines = space.inside(pod, "ip", "-o", "-4", "address", "show", "dev", interface).splitlines()
    return [line.split()[3] for line in lines]
