"""What ADD answers: the result so far with our interfaces added."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_interface
from typing import TYPE_CHECKING, Any

from meshnet.cni.versions import at_least

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface that ADD made in a pod.

    Attributes:
        name: in the pod.
        mac: lower case with colons, or ``""``.
        sandbox: path of the pod's network namespace, as in CNI_NETNS.
        mtu: bytes, or None; told from CNI 1.1.0 on.
    """

    name: str
    mac: str = ""
    sandbox: str = ""
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """An address that ADD gave to one of its interfaces.

    Attributes:
        interface: name of that interface.
        cidr: ``10.0.0.1/24``, ``fd00::1/64``.
    """

    interface: str
    cidr: str


def compose_result(
    version: str,
    prev_result: Mapping[str, Any] | None,
    interfaces: Sequence[Interface],
    addresses: Sequence[Address] = (),
    result_addresses: bool = False,
) -> dict[str, Any]:
    """The result of ADD, always the same for the same input, and unchanged if composed a second time.

    `prev_result` keeps its own version and all that is in it; `version`, of the configuration, counts without one.
    Results before 0.3.0 have no interfaces and pass unchanged. Addresses go in only with `result_addresses`, since some
    runtimes take every address of a result for the pod's own. No argument is modified.
    """
    spoken = (prev_result or {}).get("cniVersion") or version
    addresses = addresses if result_addresses else ()
    if not at_least(spoken, "0.3.0"):
        return dict(prev_result) if prev_result is not None else {"cniVersion": spoken} | _old_addresses(addresses)
    result = dict(prev_result or {}) | {"cniVersion": spoken}
    entries = list(result.get("interfaces") or [])
    places = _places(entries, [_interface(interface, spoken) for interface in interfaces])
    ips = list(result.get("ips") or [])
    for address in addresses:
        entry = _address(address, places, spoken)
        if entry not in ips:
            ips.append(entry)
    if entries:
        result["interfaces"] = entries
    if ips:
        result["ips"] = ips
    return result


def _interface(interface: Interface, version: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"name": interface.name}
    if interface.mac:
        entry["mac"] = interface.mac
    if interface.mtu is not None and at_least(version, "1.1.0"):
        entry["mtu"] = interface.mtu
    if interface.sandbox:
        entry["sandbox"] = interface.sandbox
    return entry


def _places(entries: list[dict[str, Any]], ours: Iterable[dict[str, Any]]) -> dict[str, int]:
    """Put our entries in, each in place of one for the same interface; the index of each by its name."""
    known = {(entry.get("name"), entry.get("sandbox")): index for index, entry in enumerate(entries)}
    places = {}
    for entry in ours:
        index = known.setdefault((entry["name"], entry.get("sandbox")), len(entries))
        entries[index : index + 1] = [entry]
        places[entry["name"]] = index
    return places


def _address(address: Address, places: Mapping[str, int], version: str) -> dict[str, Any]:
    entry: dict[str, Any] = {"address": address.cidr}
    if address.interface in places:
        entry["interface"] = places[address.interface]
    if not at_least(version, "1.0.0"):
        entry["version"] = str(ip_interface(address.cidr).version)
    return entry


def _old_addresses(addresses: Iterable[Address]) -> dict[str, Any]:
    """`ip4` and `ip6` of a result before 0.3.0, which has room for one address of each."""
    found: dict[str, Any] = {}
    for address in addresses:
        found.setdefault(f"ip{ip_interface(address.cidr).version}", {"ip": address.cidr})
    return found
