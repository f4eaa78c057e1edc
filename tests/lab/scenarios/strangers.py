"""A distribution of somebody else with two drivers: it imports `meshnet.driver` and the standard library, no more."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = """\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-wires"
version = "7.1"
dependencies = ["meshnet-cni"]

[project.entry-points.meshnet]
acme = "acme_wires"

[tool.hatch.build.targets.wheel]
include = ["acme_wires.py"]
"""
MODULE = '''\
"""Two link drivers: `pump` carries frames itself, `strand` strings a veth from pod to pod."""

import asyncio
import contextlib
import json
import os
import socket

from meshnet.driver import Attachment, Interface, LinkDriver, LinkError, Owned, Scope, Socket, hookimpl

ETH_P_ALL, SOL_PACKET, PACKET_IGNORE_OUTGOING, PACKET_VNET_HDR = 3, 263, 23, 15


class Pump(LinkDriver):
    """Reads each port and writes what it has read to the other, by AF_PACKET."""

    api = 1
    name = "pump"
    aliases = ("ACME-PUMP",)
    scopes = Scope.SAME_NODE

    def __init__(self):
        self.pumps = {}

    async def patch(self, link, peer):
        if peer is None or peer.port is None:
            raise LinkError("PeerNotHere", f"{link.local}: pump works on one node")
        wanted = (link.port.ifindex, peer.port.ifindex)
        if link.alias in self.pumps and self.pumps[link.alias][0] != wanted:
            self.end(link.alias)
        if link.alias not in self.pumps:
            source, target = packets(link.port.name, ETH_P_ALL), packets(peer.port.name, 0)
            asyncio.get_running_loop().add_reader(source, pump, source, target)
            self.pumps[link.alias] = wanted, source, target, link.local
        return Socket()

    async def unpatch(self, link):
        self.end(link.alias)

    async def stop(self):
        for alias in list(self.pumps):
            self.end(alias)

    async def inspect(self):
        return [Owned(local, Socket(), "a pump") for _, _, _, local in self.pumps.values()]

    def end(self, alias):
        if alias in self.pumps:
            _, source, target, _ = self.pumps.pop(alias)
            asyncio.get_running_loop().remove_reader(source)
            source.close()
            target.close()


def packets(interface, protocol):
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
    sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    sock.bind((interface, protocol))
    return sock


def pump(source, target):
    with contextlib.suppress(OSError):
        for _ in range(64):
            frame = source.recv(1 << 17)
            with contextlib.suppress(OSError):
                target.send(frame)


class Strand(LinkDriver):
    """Makes a veth whose two ends are the two pods' interfaces, with iproute2 as a script would."""

    api = 1
    name = "strand"
    scopes = Scope.SAME_NODE
    attachment = Attachment.DIRECT
    honest = False

    async def start(self, ctx):
        self.ctx = ctx
        self.lock = asyncio.Lock()

    async def patch(self, link, peer):
        other = self.ctx.pod(link.peer) if link.peer else None
        if other is None:
            raise LinkError("PeerNotHere", f"{link.local}: the pod at the other end does not run here")
        async with self.lock:
            with link.pod.enter() as own:
                index = await find(own, link.local.interface)
                if index is None:
                    with other.enter() as far:
                        await string(link, own, far)
                    index = await find(own, link.local.interface)
            return Interface(index)

    async def unpatch(self, link):
        with contextlib.suppress(LinkError), link.pod.enter() as own:
            await ip("link", "delete", link.local.interface, inside=own, fine=True)


async def string(link, own, far):
    await ip("link", "delete", link.peer.interface, inside=far, fine=True)
    # they are born in the one pod, where the far end has a name that nobody has until it moves
    near, tail = ["name", link.local.interface, "mtu", str(link.mtu)], ["name", "acme-tail", "mtu", str(link.mtu)]
    await ip("link", "add", *near, "type", "veth", "peer", *tail, inside=own)
    with passed(far) as path:
        await ip("link", "set", "acme-tail", "name", link.peer.interface, "netns", path, inside=own)


@contextlib.contextmanager
def passed(inside):
    yield f"/proc/{os.getpid()}/fd/{inside.netns_fd}"


async def find(inside, name):
    told = await ip("-j", "link", "show", "dev", name, inside=inside, fine=True)
    return json.loads(told)[0]["ifindex"] if told else None


async def ip(*arguments, inside, fine=False):
    with passed(inside) as path:
        process = await asyncio.create_subprocess_exec(
            "nsenter", f"--net={path}", "ip", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
    if process.returncode and not fine:
        raise LinkError("StrandBroke", err.decode().strip())
    return out


@hookimpl
def meshnet_register_drivers(register):
    register(Pump)
    register(Strand)
'''
NAME = "acme-wires"


def write_project(directory: Path) -> Path:
    """Write the distribution's source tree, and return where it is."""
    directory.mkdir()
    (directory / "pyproject.toml").write_text(PROJECT)
    (directory / "acme_wires.py").write_text(MODULE)
    return directory
