"""A node's record: what its daemon tells the others of it. Read as far as it can be: another version may write it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

from meshnet.model import rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.model.resource import Resource

PORT = 51111
"""The TCP port of a daemon that names no other."""
MOST_ADDRESSES = 8
"""Of one node; all are tried at once, and whoever has taken a node over chooses them."""
MOST_TOLD = 1000
"""Characters of why a driver is not usable: every link that wants it looks at them."""


@attrs.frozen
class DriverFacts:
    """A driver that is usable on a node.

    Attributes:
        mtu_limit: the largest MTU of its links over that node's underlay, bytes; None for no limit.
        offer: what it needs peers to know of that node.
    """

    name: str
    version: str = ""
    mtu_limit: int | None = None
    offer: Mapping[str, Any] = attrs.field(factory=dict)


@attrs.frozen
class NodeRecord:
    """A node as its daemon describes it.

    Attributes:
        addresses: where peers reach it, the first one before the others.
        port: of its daemon, TCP.
        certificates: PEM: the current one, then the one that comes next, if there is one. None: it holds no sessions.
        protocol: the oldest and the newest version that its daemon speaks.
        version: its daemon's release.
        default_driver: for links between nodes whose lower endpoint runs there; ``""`` when there is none.
        link_mtu: of a link that gives none, as far as that node goes, bytes.
        drivers: those that are usable there, by name.
        unusable: why others are not, by name, as its daemon says it.
    """

    name: str
    addresses: tuple[str, ...] = ()
    port: int = PORT
    certificates: tuple[str, ...] = ()
    protocol: tuple[int, int] = (0, 0)
    version: str = ""
    default_driver: str = ""
    link_mtu: int = 0
    drivers: Mapping[str, DriverFacts] = attrs.field(factory=dict)
    unusable: Mapping[str, str] = attrs.field(factory=dict)


def decode_node(resource: Resource) -> NodeRecord:
    """Return the record in an object; what is missing or of a wrong type there counts as not told."""
    spec = resource.spec
    drivers = spec.get("drivers")
    rows = [row for row in drivers if isinstance(row, dict)] if isinstance(drivers, list) else []
    facts = list(map(_driver, rows))
    return NodeRecord(
        name=resource.name,
        addresses=_strings(spec.get("addresses"))[:MOST_ADDRESSES],
        port=_number(spec.get("port")) or PORT,
        certificates=_strings(spec.get("certificates")),
        protocol=_range(spec.get("protocol")),
        version=_string(spec.get("version")),
        default_driver=_driver_name(spec.get("default_driver")),
        link_mtu=_number(spec.get("link_mtu")) or 0,
        drivers={fact.name: fact for fact in facts if fact is not None},
        unusable={_string(row.get("name")): _string(row.get("reason"))[:MOST_TOLD] for row in rows if "reason" in row},
    )


def _driver(row: Mapping[str, Any]) -> DriverFacts | None:
    if row.get("state") != "usable" or not row.get("name"):
        return None
    offer = row.get("offer")
    return DriverFacts(
        _string(row.get("name")),
        _string(row.get("version")),
        _number(row.get("mtu_limit")),
        offer if isinstance(offer, dict) else {},
    )


def _driver_name(value: object) -> str:
    """Return a driver's name; ``""`` for what can be none: the status of links to that node would say it."""
    try:
        return rules.driver_name(value)
    except rules.RuleError:
        return ""


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _number(value: object) -> int | None:
    return value if type(value) is int and value > 0 else None


def _range(value: object) -> tuple[int, int]:
    if isinstance(value, list) and len(value) == 2 and all(type(item) is int for item in value):
        return value[0], value[1]
    return 0, 0
