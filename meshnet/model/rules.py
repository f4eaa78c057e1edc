"""What a value in a Topology may be. Each rule takes anything and returns the value in its one form.

A broken rule raises `RuleError`.

The patterns are public so that a schema made elsewhere (the custom resource's) can be compared with them: whatever the
schema accepts, a daemon accepts.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Mapping

INTERFACE_PATTERN = r"^[!-$&-.0-9;-~]{1,15}$"
"""A name as the kernel has it (`dev_valid_name`): 1..15 bytes, no ``/``, ``:`` or space; ``.`` and ``..`` apart.

Narrower than the kernel in three things: no ``%`` (``eth%d`` is a pattern to rtnetlink, not a name), nothing beyond
ASCII (the kernel counts bytes and takes 0xA0 for a space, so it accepts ``é`` and refuses ``à``, which no schema can
say), and no control characters (a terminal would obey them).
"""
LABEL_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
MAC_PATTERN = r"^([0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}$"
DRIVER_PATTERN = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$"
"""Upper case too: users of upstream write ``VXLAN`` and ``GRPC``."""

MIN_UID, MAX_UID = 0, 2**63 - 1
"""Zero is legal (KNE numbers from it). The upper bound is that of an integer in the Kubernetes API and of upstream's
protocol, 64 bits signed: nothing here derives a 24-bit VNI from a uid, so every uid that upstream's schema took works.
"""
MIN_MTU, MAX_MTU = 68, 65535
"""Bytes above the Ethernet header; the kernel's own bounds of a veth."""
MIN_IPV6_MTU = 1280
"""Below this the kernel takes IPv6 off an interface."""
MAX_OPTIONS_DEPTH = 8
"""Levels of maps and lists in a link's options, so that whatever walks them comes to an end."""
MAX_LINKS, MAX_ADDRESSES = 4096, 16
"""Of a Topology, and in one link's `local_ips`: more than a pod can use. A schema's rules are priced by it."""

_INTERFACE = re.compile(INTERFACE_PATTERN, re.ASCII)
_LABEL = re.compile(LABEL_PATTERN, re.ASCII)
_SUBDOMAIN = re.compile(SUBDOMAIN_PATTERN, re.ASCII)
_MAC = re.compile(MAC_PATTERN, re.ASCII)
_DRIVER = re.compile(DRIVER_PATTERN, re.ASCII)
_PREFIX = re.compile(r"0|[1-9][0-9]{0,2}", re.ASCII)


class RuleError(ValueError):
    """A value breaks a rule; where it stands is the caller's to say.

    Attributes:
        value: what was given.
        right: what would be right.
    """

    def __init__(self, value: object, right: str) -> None:
        self.value = value
        self.right = right
        super().__init__(right)


def text(value: object) -> str:
    """A string."""
    if isinstance(value, str):
        return value
    raise RuleError(value, "must be a string")


def interface_name(value: object) -> str:
    """A name for a network interface, of a pod or of a node."""
    name = text(value)
    if not _INTERFACE.fullmatch(name) or name in {".", ".."}:
        right = (
            "must be an interface name: 1 to 15 visible ASCII characters, without '/', ':', '%', and not '.' or '..'"
        )
        raise RuleError(value, right)
    if name == "lo":
        raise RuleError(value, "must not be the loopback interface")
    if name in {"all", "default"}:
        raise RuleError(value, "must not be 'all' or 'default', which to the kernel are every interface")
    return name


def pod_interface(value: object) -> str:
    """An interface that meshnet may make in a pod: not ``eth0``, which is the pod's primary."""
    name = interface_name(value)
    if name == "eth0":
        raise RuleError(value, "must not be the pod's primary interface eth0, which the cluster's own network makes")
    return name


def is_label(value: object) -> bool:
    """Whether it is an RFC 1123 label: what Kubernetes calls namespaces."""
    return isinstance(value, str) and len(value) <= 63 and _LABEL.fullmatch(value) is not None


def is_subdomain(value: object, most: int = 253) -> bool:
    """Whether it is an RFC 1123 subdomain of at most `most` characters: what Kubernetes calls most objects."""
    return isinstance(value, str) and len(value) <= most and _SUBDOMAIN.fullmatch(value) is not None


def namespace_name(value: object) -> str:
    """A Kubernetes namespace (RFC 1123 label)."""
    name = text(value)
    if not is_label(name):
        raise RuleError(value, "must be a namespace: up to 63 lower case letters, digits and '-', no '-' at the ends")
    return name


def pod_name(value: object) -> str:
    """A name of a pod, and so of its Topology (RFC 1123 subdomain)."""
    name = text(value)
    if not is_subdomain(name):
        right = "must be a pod name: up to 253 lower case letters, digits, '-' and '.', a letter or digit at both ends"
        raise RuleError(value, right)
    return name


def whole_number(value: object, low: int, high: int) -> int:
    """An integer within bounds.

    ``1.0`` is one: JSON knows one type of number, and Kubernetes stores ``1.0`` as ``1``, up to where a float is exact.
    A boolean is none.
    """
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise RuleError(value, f"must be a whole number from {low} to {high}")
    return value


def uid(value: object) -> int:
    """The uid of a link."""
    return whole_number(value, MIN_UID, MAX_UID)


def mtu(value: object) -> int:
    """An MTU in bytes above the Ethernet header."""
    return whole_number(value, MIN_MTU, MAX_MTU)


def flag(value: object) -> bool:
    """A boolean."""
    if isinstance(value, bool):
        return value
    raise RuleError(value, "must be true or false")


def mac(value: object) -> str:
    """A MAC that an interface can have (one station's, not all zero), in lower case."""
    if not isinstance(value, str) or not _MAC.fullmatch(value):
        raise RuleError(value, "must be a MAC such as 02:00:00:00:00:01")
    if int(value[:2], 16) & 1:
        raise RuleError(value, "must be the MAC of one station: the first byte even")
    if not value.strip("0:"):
        raise RuleError(value, "must not be all zero")
    return value.lower()


def driver_name(value: object) -> str:
    """A link driver's name or alias, as written."""
    name = text(value)
    if not _DRIVER.fullmatch(name):
        raise RuleError(value, "must be the name of a link driver: up to 63 letters, digits, '-', '_' and '.'")
    return name


def cidr(value: object) -> str:
    """One address with prefix length, IPv4 or IPv6, in canonical form; host bits stay.

    Refused is what the kernel refuses (``::``, ``::1``, IPv6 multicast, zones) or what no interface can answer to
    (``0.0.0.0``, IPv4 multicast and broadcast).
    """
    right = "must be one address with prefix length, such as 10.0.0.1/24 or 2001:db8::1/64"
    if not isinstance(value, str):
        raise RuleError(value, right)
    address, slash, prefix = value.partition("/")
    family, bits = (socket.AF_INET6, 128) if ":" in address else (socket.AF_INET, 32)
    try:
        packed = socket.inet_pton(family, address)
    except (OSError, ValueError):  # ValueError: a NUL byte, a lone surrogate
        raise RuleError(value, right) from None
    if not slash or not _PREFIX.fullmatch(prefix) or int(prefix) > bits:
        raise RuleError(value, f"{right}; the prefix length is 0 to {bits}")
    if not _unicast(packed):
        raise RuleError(value, "must be an address that an interface can have: not unspecified, ::1 or multicast")
    return f"{socket.inet_ntop(family, packed)}/{prefix}"


def _unicast(packed: bytes) -> bool:
    if len(packed) == 4:
        return not 224 <= packed[0] <= 239 and packed not in {b"\0\0\0\0", b"\xff\xff\xff\xff"}
    return packed[0] != 0xFF and int.from_bytes(packed, "big") > 1


def options(value: object) -> Mapping[str, object]:
    """The options of a link: names and JSON values. What they mean is the driver's to judge."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise RuleError(value, "must be a map of option names and values")
    if _deeper(value, MAX_OPTIONS_DEPTH):
        raise RuleError(value, f"must not be nested deeper than {MAX_OPTIONS_DEPTH} levels")
    return cast("Mapping[str, object]", value)


def _deeper(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and (levels == 0 or any(_deeper(inner, levels - 1) for inner in value))


def is_ipv6(address: str) -> bool:
    """Whether a CIDR is of IPv6."""
    return ":" in address


def mtu_fits(value: int, addresses: tuple[str, ...]) -> bool:
    """Whether an interface with this MTU keeps all these addresses."""
    return value >= MIN_IPV6_MTU or not any(map(is_ipv6, addresses))
