"""A node for a test: a network namespace with a NIC, and pods in namespaces of their own. All of it ends with the test.

The test's thread is moved into the node's namespace, as a daemon is in its node's: a socket that a driver opens without
further ado is there, and the threads that it starts are, too.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Self

import attrs

from meshnet.driver import Inside, RestartPod
from meshnet.netlink import LinkInfo, Netlink, Request, VethSpec, ifla, links
from meshnet.netlink.addresses import add_address
from meshnet.netlink.netns import anonymous_netns, entered, nsid
from meshnet.netlink.wire import NLM_F_CREATE, NLM_F_EXCL, nested, string

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet.model.topology import Endpoint

NIC = "eth0"
"""The node's interface to the outside."""
OUTSIDE = "outside"
"""The interface at the other end of the NIC's cable."""
NIC_MTU = 9000
_NIC_INDEX = 1 << 19
_NIC_MAC = "06:00:5e:00:53:01"
OUTSIDE_MAC = "06:00:5e:00:53:02"


class Namespace:
    """A network namespace of a test's own. Closing it ends it, unless somebody else keeps it.

    Attributes:
        name: for people.
        fd: of the namespace.
        netlink: a socket inside it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.fd = anonymous_netns()
        self.netlink = Netlink.open(self.fd)
        self.netlink.run([links.set_link(1, up=True)])

    def close(self) -> None:
        self.netlink.close()
        os.close(self.fd)

    def links(self) -> list[LinkInfo]:
        """Return every link in it."""
        return [links.parse_link(payload) for payload in self.netlink.dump(links.dump_links())]

    def link(self, name: str) -> LinkInfo | None:
        """Return the link of that name, or None."""
        return next((link for link in self.links() if link.name == name), None)

    def entered(self) -> contextlib.AbstractContextManager[None]:
        """Run the calling thread in it for the length of a ``with``."""
        return entered(self.fd)

    def make_stranger(self, name: str) -> int:
        """Make a link that is nobody's business (a bridge); return its ifindex."""
        with self.entered(), Netlink.open() as netlink:
            netlink.run([_new_bridge(name)])
        found = self.link(name)
        assert found is not None
        return found.ifindex


class KitPod(Namespace):
    """A pod, as a driver gets to see one: `meshnet.driver.Pod`.

    Attributes:
        sealed: nobody can enter any more, as after a restart of a daemon without CAP_SYS_ADMIN.
    """

    def __init__(self, name: str, node: Namespace) -> None:
        super().__init__(name)
        self.nsid = nsid(node.netlink, self.fd)
        self.sealed = False

    @contextlib.contextmanager
    def enter(self) -> Iterator[Inside]:
        if self.sealed:
            raise RestartPod(f"pod {self.name} cannot be entered any more; restart it")
        yield Inside(self.fd, self.netlink)


@attrs.frozen
class Uplink:
    """Where a node's NIC leads: to an interface of that name in another namespace, which is not the node's.

    Attributes:
        mac: of the NIC.
        mtu: of the whole cable, bytes.
    """

    namespace: Namespace
    interface: str
    mac: str
    mtu: int


class KitNode(Namespace):
    """A node with a NIC `eth0`, cabled to `outside` in the namespace `sink` unless `uplink` is given.

    Attributes:
        pods: the present sandboxes, by name.
        sink: the namespace that the NIC leads to.
    """

    def __init__(self, name: str = "n1", uplink: Uplink | None = None) -> None:
        with contextlib.ExitStack() as undo:
            super().__init__(name)
            undo.callback(self.close)
            self.pods: dict[str, KitPod] = {}
            self._older: list[KitPod] = []
            self._has_own_sink = uplink is None
            self.sink = uplink.namespace if uplink else Namespace("sink")
            if self._has_own_sink:
                undo.callback(self.sink.close)
            self._cable_nic(uplink or Uplink(self.sink, OUTSIDE, _NIC_MAC, NIC_MTU))
            if self._has_own_sink:
                self._address_outside()
            undo.pop_all()

    @contextlib.contextmanager
    def running(self) -> Iterator[Self]:
        """Have the calling thread in it; at the end the node, its pods and its own outside are gone."""
        try:
            with self.entered():
                yield self
        finally:
            self.end()

    def end(self) -> None:
        """End the node, its pods and its own outside."""
        for pod in (*self.pods.values(), *self._older):
            pod.close()
        if self._has_own_sink:
            self.sink.close()
        self.close()

    def pod(self, name: str, namespace: str = "default") -> KitPod:
        """Return the pod of that name, made when it is asked for first."""
        key = _key(name, namespace)
        if key not in self.pods:
            self.pods[key] = KitPod(key, self)
        return self.pods[key]

    def renewed_pod(self, name: str, namespace: str = "default") -> KitPod:
        """Return a new sandbox for the pod of that name; an older one stays until the node ends."""
        key = _key(name, namespace)
        older = self.pods.pop(key, None)
        if older is not None:
            self._older.append(older)
        self.pods[key] = KitPod(f"{key}~{len(self._older) + 1}", self)
        return self.pods[key]

    def pod_of(self, endpoint: Endpoint) -> KitPod | None:
        """Return the present sandbox of an endpoint's pod, or None."""
        return self.pods.get(_key(endpoint.pod, endpoint.namespace))

    def namespaces(self) -> list[Namespace]:
        """Return the node's own namespace and those of its pods."""
        return [self, *self._older, *self.pods.values()]

    def forward_ipv6(self) -> None:
        """Make it a router, where that may be done: then the kernel says more on each of its interfaces."""
        with contextlib.suppress(OSError), self.entered():
            Path("/proc/sys/net/ipv6/conf/all/forwarding").write_text("1")

    def _cable_nic(self, uplink: Uplink) -> None:
        spec = VethSpec(NIC, _NIC_INDEX, uplink.mac, uplink.mtu, uplink.interface, OUTSIDE_MAC, uplink.namespace.fd)
        self.netlink.run([links.new_veth(spec), links.set_link(_NIC_INDEX, up=True, quiet=True)])
        outside = uplink.namespace.link(uplink.interface)
        assert outside is not None
        uplink.namespace.netlink.run([links.set_link(outside.ifindex, up=True, quiet=True)])

    def _address_outside(self) -> None:
        outside = self.sink.link(OUTSIDE)
        assert outside is not None
        self.sink.netlink.run(
            [
                add_address(outside.ifindex, "192.0.2.254/24"),
                add_address(outside.ifindex, "2001:db8::fe/64"),
            ]
        )


def _key(pod: str, namespace: str) -> str:
    """Return how a pod is named here."""
    return pod if namespace == "default" else f"{namespace}/{pod}"


def _new_bridge(name: str) -> Request:
    kind = nested(ifla.IFLA_LINKINFO, string(ifla.IFLA_INFO_KIND, "bridge"))
    body = ifla.IFINFO.pack(0, 0, 0, 0, 0) + string(ifla.IFLA_IFNAME, name) + kind
    return Request(ifla.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"make bridge {name}")
