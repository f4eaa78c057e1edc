"""A link as it is written: each field of an element of `spec.links` by itself, then all of them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NewType

import attrs

from meshnet.errors import Problem, Spelling
from meshnet.model import rules
from meshnet.model.topology import LOCALHOST, Link

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Uid = NewType("Uid", int)
PodName = NewType("PodName", str)
PodInterface = NewType("PodInterface", str)
InterfaceName = NewType("InterfaceName", str)
Cidr = NewType("Cidr", str)
Cidrs = NewType("Cidrs", tuple[str, ...])
Mac = NewType("Mac", str)
DriverName = NewType("DriverName", str)
Mtu = NewType("Mtu", int)
Options = NewType("Options", Mapping[str, Any])
Flag = NewType("Flag", bool)


@attrs.frozen
class Entry:
    """An element of `spec.links`, field by field as it is written."""

    uid: Uid
    peer_pod: PodName
    local_intf: PodInterface
    peer_intf: InterfaceName
    local_ip: Cidr | None = None
    local_ips: Cidrs = Cidrs(())
    peer_ip: Cidr | None = None
    local_mac: Mac | None = None
    driver: DriverName | None = None
    mtu: Mtu | None = None
    options: Options = attrs.field(factory=lambda: Options({}))
    down: Flag = Flag(False)


LINK_FIELDS = tuple(attribute.name for attribute in attrs.fields(Entry))
"""The fields of a link that mean something to meshnet; others are kept and ignored."""


_NOT_TEXT = frozenset({"uid", "local_ips", "mtu", "options", "down"})


def without_absent(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A link without the fields that say nothing: clients without `omitempty` write ``null``, and ``""`` for a text."""
    return {name: value for name, value in entry.items() if value is not None and (value != "" or name in _NOT_TEXT)}


def entry_problems(path: str, entry: Entry, pod: object) -> Iterator[Problem]:
    """What is wrong between the fields of one link, each right by itself."""
    if entry.peer_pod != LOCALHOST:
        yield from judge(f"{path}.peer_intf", entry.peer_intf, rules.pod_interface)
        if entry.peer_pod == pod and str(entry.peer_intf) == entry.local_intf:
            yield problem(f"{path}.peer_intf", entry.peer_intf, "must be another interface: a link has two ends")
    addresses = (*_addresses(entry), entry.peer_ip or "")
    if entry.mtu is not None and not rules.mtu_fits(entry.mtu, addresses):
        yield problem(f"{path}.mtu", entry.mtu, f"must be at least {rules.MIN_IPV6_MTU} on a link with IPv6 addresses")


def to_link(entry: Entry) -> Link:
    return Link(
        uid=entry.uid,
        peer_pod=entry.peer_pod,
        local_intf=entry.local_intf,
        peer_intf=entry.peer_intf,
        addresses=_addresses(entry),
        peer_ip=entry.peer_ip,
        local_mac=entry.local_mac,
        driver=entry.driver,
        mtu=entry.mtu,
        options=entry.options,
        down=entry.down,
    )


def _addresses(entry: Entry) -> tuple[str, ...]:
    """Both fields' addresses in order, each once."""
    if entry.local_ip is None:
        return tuple(dict.fromkeys(entry.local_ips))
    return tuple(dict.fromkeys((entry.local_ip, *entry.local_ips))) if entry.local_ips else (entry.local_ip,)


def judge(path: str, value: object, rule: Callable[[object], object]) -> Iterator[Problem]:
    try:
        rule(value)
    except rules.RuleError as wrong:
        yield problem(path, wrong.value, wrong.right)


def problem(path: str, value: object, right: str) -> Problem:
    """A Problem whose value is shown in bounds: what a user wrote may be as large and as deep as he likes."""
    return Problem(path, _Abridged(value) if isinstance(value, (str, list, dict)) else value, right)


class _Abridged:
    """A value that shows itself in a few hundred characters."""

    def __init__(self, value: object) -> None:
        self._text = _ABRIDGER.repr(value)

    def __repr__(self) -> str:
        return self._text


_ABRIDGER = Spelling()
_ABRIDGER.maxstring = 300
