"""A CNI call as received, checked: environment and network configuration."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshnet.cni.arguments import Args, parse_args
from meshnet.cni.config import NetworkConfig, parse_config
from meshnet.cni.error import CniError, Code

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

COMMANDS = ("ADD", "DEL", "CHECK", "GC")
"""VERSION and STATUS the plugin answers itself."""
MAX_CONTAINER_ID = 200
"""Bytes; the specification sets no limit, but a container ID becomes part of a file name."""

_CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.\-]*")
_NEEDED = {
    "ADD": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "CHECK": ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"),
    "DEL": ("CNI_CONTAINERID", "CNI_IFNAME"),
}


@dataclass(frozen=True, slots=True)
class Request:
    """One CNI call.

    Attributes:
        command: one of `COMMANDS`.
        container_id: of the sandbox; ``""`` for GC.
        netns: absolute path of its network namespace; may be ``""`` for DEL.
        ifname: the interface that the runtime names for this attachment, not one of ours.
        args: of `CNI_ARGS`, empty for DEL if they cannot be read: nothing may keep a pod from going.
        config: the network configuration from standard input.
    """

    command: str
    container_id: str
    netns: str
    ifname: str
    args: Args
    config: NetworkConfig


def parse_request(env: Mapping[str, str], stdin: bytes) -> Request:
    """Check a call in the order that libcni's plugins do: environment, decoding, name, version, the rest.

    Raises:
        CniError: 1 a version (or a command in it) that is not spoken; 4 an environment variable; 6 standard input
            cannot be decoded; 7 the network configuration.
    """
    command = env.get("CNI_COMMAND", "")
    if command not in COMMANDS:
        raise CniError(Code.INVALID_ENVIRONMENT, f"CNI_COMMAND: {command[:40]!r}: one of {', '.join(COMMANDS)}")
    values = {name: _variable(env, name) for name in _NEEDED.get(command, ())}
    netns = values.get("CNI_NETNS", env.get("CNI_NETNS", ""))
    return Request(
        command,
        values.get("CNI_CONTAINERID", ""),
        netns,
        values.get("CNI_IFNAME", ""),
        _args(command, env.get("CNI_ARGS", "")),
        parse_config(command, stdin),
    )


def _variable(env: Mapping[str, str], name: str) -> str:
    value = env.get(name, "")
    wrong = "is needed and empty or missing" if not value else _CHECKS[name](value)
    if wrong:
        raise CniError(Code.INVALID_ENVIRONMENT, f"{name}: {value[:80]!r}: {wrong}")
    return value


def _args(command: str, text: str) -> Args:
    try:
        return parse_args(text)
    except CniError:
        if command != "DEL":
            raise
        return Args()


def _container_id_wrong(value: str) -> str:
    if not _CONTAINER_ID.fullmatch(value):
        return "begins with a letter or digit, then letters, digits, '_', '.', '-'"
    return f"at most {MAX_CONTAINER_ID} characters" if len(value) > MAX_CONTAINER_ID else ""


def _netns_wrong(value: str) -> str:
    return "" if value.startswith("/") else "an absolute path of a network namespace"


def _ifname_wrong(value: str) -> str:
    if len(os.fsencode(value)) > 15:
        return "an interface name has at most 15 bytes"
    if value in (".", "..") or any(letter in "/:" or letter.isspace() for letter in value):
        return "an interface name is not '.' or '..' and has no '/', ':' or white space"
    return "" if value.isprintable() else "an interface name is printable UTF-8"


_CHECKS: dict[str, Callable[[str], str]] = {
    "CNI_CONTAINERID": _container_id_wrong,
    "CNI_NETNS": _netns_wrong,
    "CNI_IFNAME": _ifname_wrong,
}
