"""CNI calls: ADD, DEL, CHECK and GC as the daemon answers them; the plugin answers the others itself."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Any

from meshnet.cni.config import declared_version
from meshnet.cni.error import CniError, Code, refusal
from meshnet.cni.frame import MAX_REPLY, encode_reply
from meshnet.cni.request import Request, parse_request
from meshnet.cni.result import Address, Interface, compose_result
from meshnet.driver.api import Inside
from meshnet.errors import KernelError, MeshnetError, StoreError
from meshnet.netlink import Netlink
from meshnet.reconcile.keyed import KeyedLocks
from meshnet.reconcile.sandbox import Sandbox, SandboxKey, netns_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.cni.frame import Frame
    from meshnet.daemon.connection import Call
    from meshnet.model.topology import Topology
    from meshnet.reconcile.cache import TopologyCache
    from meshnet.reconcile.sandboxes import Sandboxes

log = logging.getLogger(__name__)

SYNC_LIMIT_S = 4.0
INVALID_TOPOLOGY = 100
"""From 100 on error codes are a plugin's own."""


class CniCalls:
    """Answers CNI calls; those for one container never overlap."""

    def __init__(self, sandboxes: Sandboxes, cache: TopologyCache) -> None:
        self._sandboxes = sandboxes
        self._cache = cache
        self._containers = KeyedLocks[str]()

    async def answer(self, call: Call) -> bytes:
        """Return the reply to a call, whatever is wrong with it."""
        try:
            request = parse_request(call.frame.env, call.frame.body)
            return encode_reply(0, await self._run(request, call))
        except CniError as error:
            return _refused(error.code, error.msg, call.frame)
        except StoreError as error:
            return _refused(Code.TRY_AGAIN_LATER, f"store: {error}", call.frame)
        except KernelError as error:
            return _refused(Code.IO_FAILURE, str(error), call.frame)
        except MeshnetError as error:
            return _refused(Code.INTERNAL, str(error), call.frame)

    async def _run(self, request: Request, call: Call) -> str:
        """Return what to print. Raises MeshnetError."""
        if request.command == "GC":
            await self._gc(request)
            return ""
        async with self._containers.hold(request.container_id):
            return await self._attachment(request, call)

    async def _attachment(self, request: Request, call: Call) -> str:
        if request.command == "ADD":
            return _printable(json.dumps(await self._add(request, call)))
        if request.command == "CHECK":
            self._check(request)
            return ""
        sandbox = self._sandboxes.find(_key(request))
        if sandbox is not None:
            await self._sandboxes.remove(sandbox, why="DEL")
        return ""

    async def _add(self, request: Request, call: Call) -> dict[str, Any]:
        topology = await self._topology(request)
        if not call.descriptors:
            raise CniError(Code.INVALID_NETNS, f"CNI_NETNS: {request.netns!r}: a network namespace that can be opened")
        netns_fd, *sockets = call.descriptors
        # The socket object owns its descriptor from here on, whatever becomes of it.
        del call.descriptors[1:]
        inside = Netlink.adopt(sockets[0]) if sockets else Netlink.open(netns_fd)
        with inside as netlink:
            sandbox = await self._sandbox(request, topology, Inside(netns_fd, netlink))
        return _result(request, sandbox)

    async def _sandbox(self, request: Request, topology: Topology | None, inside: Inside) -> Sandbox:
        key, identity = _key(request), netns_id(inside.netns_fd)
        known = self._sandboxes.find(key)
        if known is not None:
            if known.key == key and known.netns_id == identity:
                await self._sandboxes.add_again(known, topology if known.pod else None, inside)
                return known
            await self._sandboxes.remove(known, why="its ADD comes again, or another namespace under its ID")
        namespace, pod = request.args.pod_namespace, request.args.pod_name
        if not pod or self._sandboxes.has_pod(request.container_id, identity):
            # A network that Multus adds to a pod may chain us, too: the pod's links are those of its first attachment.
            namespace, pod, topology = "", "", None
        sandbox = Sandbox(
            key=key,
            namespace=namespace,
            pod=pod,
            pod_uid=request.args.pod_uid,
            netns=request.netns,
            netns_id=identity,
        )
        await self._sandboxes.add(sandbox, topology, inside)
        return sandbox

    async def _topology(self, request: Request) -> Topology | None:
        """Return the pod's Topology; None when it certainly has none. Raises CniError, StoreError."""
        if not request.args.pod_name:
            return None
        try:
            async with asyncio.timeout(SYNC_LIMIT_S):
                await self._cache.synced.wait()
        except TimeoutError:
            raise CniError(Code.TRY_AGAIN_LATER, "the store has not told its Topologies yet") from None
        entry = await self._cache.read((request.args.pod_namespace, request.args.pod_name))
        if entry is None:
            return None
        if entry.invalid is not None:
            raise CniError(INVALID_TOPOLOGY, str(entry.invalid))
        return entry.topology

    def _check(self, request: Request) -> None:
        sandbox = self._sandboxes.find(_key(request))
        if sandbox is None:
            raise CniError(Code.UNKNOWN_CONTAINER, f"CNI_CONTAINERID: {request.container_id!r}: never added here")
        # CRI-O checks what it has just added and gives up a pod that fails: a link that could not be made then says so
        # in its status, and keeps no pod from starting.
        problems = self._sandboxes.check(sandbox, _told(request.config.prev_result))
        if problems:
            raise CniError(Code.INTERNAL, "; ".join(problems))

    async def _gc(self, request: Request) -> None:
        config = request.config
        valid = config.valid_attachments or frozenset()
        failed = []
        for sandbox in self._sandboxes.of_network(config.name):
            if (sandbox.key.container_id, sandbox.key.ifname) in valid:
                continue
            try:
                await self._collect(sandbox)
            except MeshnetError as error:
                failed.append(f"{sandbox.key.container_id}: {error}")
        if failed:
            raise CniError(Code.IO_FAILURE, "; ".join(failed))

    async def _collect(self, sandbox: Sandbox) -> None:
        """Remove a sandbox, unless its DEL came meanwhile: then its key may be a newer one's."""
        async with self._containers.hold(sandbox.key.container_id):
            if self._sandboxes.find(sandbox.key) is sandbox:
                await self._sandboxes.remove(sandbox, why="GC")


def _key(request: Request) -> SandboxKey:
    return SandboxKey(request.config.name, request.container_id, request.ifname)


def _told(prev_result: Mapping[str, Any] | None) -> set[str] | None:
    """The names of the interfaces in containers that a result tells of; None without one."""
    if prev_result is None:
        return None
    return {str(entry.get("name")) for entry in prev_result.get("interfaces") or [] if entry.get("sandbox")}


def _result(request: Request, sandbox: Sandbox) -> dict[str, Any]:
    interfaces = []
    addresses = []
    for end in sandbox.ends.values():
        if not end.pod_ifindex:
            continue
        applied = end.applied
        interfaces.append(Interface(end.endpoint.interface, applied.mac, sandbox.netns, applied.mtu))
        addresses += [Address(end.endpoint.interface, cidr) for cidr in applied.addresses]
    config = request.config
    return compose_result(
        config.version, config.prev_result, interfaces, addresses, result_addresses=config.result_addresses
    )


def _printable(result: str) -> str:
    """Return a result of ADD, which the plugin can print. Raises CniError."""
    most = MAX_REPLY - len(encode_reply(0))
    if len(result) > most:
        told = f"the result has {len(result)} bytes, and may have {most}"
        raise CniError(Code.INTERNAL, f"{told}: right would be fewer links or addresses, or resultAddresses: false")
    return result


def _refused(code: int, msg: str, frame: Frame) -> bytes:
    log.warning(
        "CNI %s %s: code %d: %s",
        frame.env.get("CNI_COMMAND", "?")[:20],
        frame.env.get("CNI_ARGS", "")[:200],
        code,
        msg,
    )
    return refusal(code, msg, declared_version(frame.body))
