"""The network configuration that a runtime writes to the plugin's standard input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshnet.cni.error import CniError, Code
from meshnet.cni.jsontext import decode_object, kind, shown
from meshnet.cni.versions import FIRST_WITH, LATEST, SUPPORTED, UNDECLARED, at_least

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
_ATTACHMENTS = ("cni.dev/valid-attachments", "cni.dev/attachments")
"""The second is what the specification called it by mistake; libcni sends both."""


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """A network configuration, checked.

    Attributes:
        name: of the network; GC acts on it alone.
        version: the CNI version of this call, a supported one.
        prev_result: what the plugins before this one made, or None when it is the first or alone.
        result_addresses: whether our addresses go into the result (`resultAddresses`).
        valid_attachments: of GC, (container ID, ifname) of each that stays; None for every other command.
    """

    name: str
    version: str
    prev_result: dict[str, Any] | None
    result_addresses: bool
    valid_attachments: frozenset[tuple[str, str]] | None


def parse_config(command: str, stdin: bytes) -> NetworkConfig:
    """Decode and check a configuration for `command`.

    Raises:
        CniError: 1, 6 or 7, naming the key's path, its value, and what would be right.
    """
    raw = decode_object(stdin, "network configuration on stdin")
    name = _text(raw, "name")
    if not _NAME.fullmatch(name):
        raise invalid("name", name, "begins with a letter or digit, then letters, digits, '_', '.', '-'")
    _text(raw, "type")  # a runtime has found us by it
    version = _version(command, raw)
    return NetworkConfig(
        name=name,
        version=version,
        prev_result=_prev_result(command, raw),
        result_addresses=command != "DEL" and _result_addresses(raw),
        valid_attachments=_valid_attachments(raw) if command == "GC" else None,
    )


def declared_version(stdin: bytes) -> str:
    """The version to answer in, of a configuration that may be wrong in any way."""
    try:
        version = decode_object(stdin, "").get("cniVersion") or UNDECLARED
    except CniError:
        return LATEST
    return version if version in SUPPORTED else LATEST


def invalid(path: str, value: object, right: str) -> CniError:
    """The error 7 for a configuration key."""
    return CniError(Code.INVALID_NETWORK_CONFIG, f"network configuration: {path}: {shown(value)}: {right}")


def _text(raw: Mapping[str, Any], key: str, inside: str = "") -> str:
    value = raw.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise invalid(inside + key, value, f"a string, not {kind(value)}")
    return value


def _version(command: str, raw: Mapping[str, Any]) -> str:
    version = raw.get("cniVersion")
    if version is not None and not isinstance(version, str):
        raise CniError(
            Code.DECODING_FAILURE, f"network configuration: cniVersion: {shown(version)}: a string, not {kind(version)}"
        )
    version = version or UNDECLARED
    if version not in SUPPORTED:
        raise CniError(
            Code.INCOMPATIBLE_VERSION,
            f"network configuration: cniVersion: {shown(version)}: one of {', '.join(SUPPORTED)}",
        )
    first = FIRST_WITH.get(command, UNDECLARED)
    if not at_least(version, first):
        raise CniError(Code.INCOMPATIBLE_VERSION, f"{command} needs cniVersion {first}, the configuration is {version}")
    return version


def _prev_result(command: str, raw: Mapping[str, Any]) -> dict[str, Any] | None:
    prev = raw.get("prevResult")
    if prev is None:
        return None
    if command == "DEL":  # must succeed whatever was left there
        return prev if isinstance(prev, dict) else None
    if not isinstance(prev, dict):
        raise invalid("prevResult", prev, f"an object, not {kind(prev)}")
    version = prev.get("cniVersion") or LATEST  # none: that of the configuration
    if version not in SUPPORTED:
        raise CniError(
            Code.INCOMPATIBLE_VERSION,
            f"network configuration: prevResult.cniVersion: {shown(version)}: one of {', '.join(SUPPORTED)}",
        )
    for index, entry in enumerate(_objects(prev, "interfaces")):
        for key in ("name", "sandbox"):  # an interface is known by both
            _text(entry, key, f"prevResult.interfaces[{index}].")
    _objects(prev, "ips")
    return prev


def _objects(prev: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = prev.get(key) or []
    if not isinstance(entries, list):
        raise invalid(f"prevResult.{key}", entries, f"an array, not {kind(entries)}")
    for index, entry in enumerate(entries):
        if not isinstance(entry, dict):
            raise invalid(f"prevResult.{key}[{index}]", entry, f"an object, not {kind(entry)}")
    return entries


def _result_addresses(raw: Mapping[str, Any]) -> bool:
    value = raw.get("resultAddresses", False)
    if not isinstance(value, bool):
        raise invalid("resultAddresses", value, "true or false")
    return value


def _valid_attachments(raw: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    key = next((key for key in _ATTACHMENTS if key in raw), None)
    if key is None:  # taken for an empty list it would unwire every running pod
        raise invalid(_ATTACHMENTS[0], None, "GC needs the list of attachments that are still valid")
    entries = [] if raw[key] is None else raw[key]  # Go writes an empty list as null
    if not isinstance(entries, list):
        raise invalid(key, entries, f"an array, not {kind(entries)}")
    return frozenset(_attachment(f"{key}[{index}]", entry) for index, entry in enumerate(entries))


def _attachment(path: str, entry: object) -> tuple[str, str]:
    if not isinstance(entry, dict):
        raise invalid(path, entry, f"an object, not {kind(entry)}")
    container_id, ifname = entry.get("containerID"), entry.get("ifname")
    if not isinstance(container_id, str) or not isinstance(ifname, str):
        raise invalid(path, entry, "containerID and ifname, both strings")
    return container_id, ifname
