"""Which devices are ours, and whose: by name and mark, so that all of it can be read from the kernel.

An endpoint has two names for a device. One is in use; while what the kernel cannot change in a device (its VNI, its
port, its family) makes a new one necessary, that takes the other name, and the link goes over without a gap.
"""

from __future__ import annotations

import errno
import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from meshnet.errors import KernelError
from meshnet.model.names import parse_mark
from meshnet.netlink import links
from meshnet_vxlan.messages import dump_remotes, parse_remote, parse_vxlan

if TYPE_CHECKING:
    from meshnet.model.topology import Endpoint
    from meshnet.netlink import Netlink
    from meshnet_vxlan.messages import Remote, Vxlan

_NAME = re.compile(r"vx[0-9a-f]{12}b?")


class Slots(NamedTuple):
    """The two names of an endpoint.

    Attributes:
        devices: of the endpoint, that have one of them.
        free: names that nobody has.
    """

    devices: list[Vxlan]
    free: list[str]


def device_names(endpoint: Endpoint) -> tuple[str, str]:
    """Return the names that a device of an endpoint may have: 14 and 15 bytes."""
    digest = _digest(b"vxlan name", endpoint.namespace, endpoint.pod, endpoint.interface)[:6].hex()
    return f"vx{digest}", f"vx{digest}b"


def device_mac(name: str) -> str:
    """Return the MAC of the device of that name; none of a pod's or a port's is the same, nor begins like it."""
    digest = _digest(b"vxlan mac", name)
    return bytes([0x0A | (digest[0] & 0xF0), *digest[1:6]]).hex(":")


def read_slots(netlink: Netlink, endpoint: Endpoint, known: int | None) -> Slots:
    """Return what stands at an endpoint's names.

    Args:
        netlink: of the node.
        endpoint: which.
        known: index of a device of the endpoint's, whatever somebody has made of its mark.

    Raises KernelError.
    """
    slots = Slots([], [])
    names = device_names(endpoint)
    for name, answer in zip(names, netlink.ask_many([links.get_link(name) for name in names]), strict=True):
        if isinstance(answer, KernelError):
            if answer.errno != errno.ENODEV:
                raise answer
            slots.free.append(name)
            continue
        device = parse_vxlan(answer)
        if device is not None and (belongs(device, endpoint) or device.info.ifindex == known):
            slots.devices.append(device)
    return slots


def read_devices(netlink: Netlink) -> list[Vxlan]:
    """Return every device of ours on the node, also those half made. Raises KernelError."""
    return [device for device in read_all(netlink) if is_ours(device)]


def read_all(netlink: Netlink) -> list[Vxlan]:
    """Return every VXLAN device on the node, whoever made it. Raises KernelError."""
    there = map(parse_vxlan, netlink.dump(links.dump_links(), steady=False))
    return [device for device in there if device is not None]


def read_device(netlink: Netlink, ifindex: int) -> Vxlan | None:
    """Return the device of ours with that index, None when there is none any more. Raises KernelError."""
    try:
        device = parse_vxlan(netlink.ask(links.get_link(ifindex)))
    except KernelError as error:
        if error.errno != errno.ENODEV:
            raise
        return None
    return device if device is not None and is_ours(device) else None


def read_remotes(netlink: Netlink, device: Vxlan) -> list[Remote]:
    """Return where a device sends all frames. Raises KernelError."""
    entries = (parse_remote(payload, device) for payload in netlink.dump(dump_remotes(device.info.ifindex)))
    return [remote for remote in entries if remote is not None]


def is_ours(device: Vxlan) -> bool:
    """Tell whether a device was made by this driver."""
    if _NAME.fullmatch(device.info.name) is None:
        return False
    return is_newborn(device) or parse_mark(device.info.alias) is not None


def is_newborn(device: Vxlan) -> bool:
    """Tell whether a device is not marked yet: the kernel takes no mark in the message that makes it.

    Nobody else gives a device of such a name the MAC that goes with it.
    """
    info = device.info
    return not info.alias and not info.up and info.mac == device_mac(info.name)


def belongs(device: Vxlan, endpoint: Endpoint) -> bool:
    """Tell whether a device that has a name of the endpoint was made for it, for whatever sandbox."""
    mark = parse_mark(device.info.alias)
    return is_newborn(device) if mark is None else mark.is_of(endpoint)


def _digest(sort: bytes, *parts: str) -> bytes:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16, person=sort).digest()
