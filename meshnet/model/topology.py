"""Topology, link, endpoint: the words of the field as types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

PodKey = tuple[str, str]
"""Namespace and name of a pod, and so of its Topology."""

LOCALHOST = "localhost"
"""`peer_pod` of an external link: its other side is an interface of the node."""


@attrs.frozen(order=True)
class Endpoint:
    """One side of a link: an interface of a pod."""

    namespace: str
    pod: str
    interface: str

    @property
    def pod_key(self) -> PodKey:
        return self.namespace, self.pod

    @property
    def sort_key(self) -> tuple[bytes, bytes]:
        """(pod, interface) by bytes: the lower endpoint of a link decides where one must."""
        return self.pod.encode(), self.interface.encode()

    def __str__(self) -> str:
        return f"{self.namespace}/{self.pod}:{self.interface}"


@attrs.frozen
class Link:
    """An entry of `spec.links`, as one end declares it.

    Attributes:
        uid: both ends carry the same; (namespace, uid, the two endpoints) identifies the link.
        peer_pod: the peer's Topology, or ``localhost`` for an interface of the node.
        local_intf: interface in this pod.
        peer_intf: interface in the peer pod; with ``localhost`` the parent interface on the node.
        addresses: CIDRs for this end (`local_ip` and `local_ips`), in order, without repetition.
        peer_ip: the CIDR of the peer's end, used there if it gives none itself; or None.
        local_mac: MAC for this end, lower case with colons, or None for one that meshnet derives.
        driver: name of a link driver, or None to let meshnet choose.
        mtu: bytes above the Ethernet header, or None for the default.
        options: of core (`offload`) and of the driver, as written.
        down: the cable is unplugged.
    """

    uid: int
    peer_pod: str
    local_intf: str
    peer_intf: str
    addresses: tuple[str, ...] = ()
    peer_ip: str | None = None
    local_mac: str | None = None
    driver: str | None = None
    mtu: int | None = None
    options: Mapping[str, Any] = attrs.field(factory=dict)
    down: bool = False

    @property
    def external(self) -> bool:
        return self.peer_pod == LOCALHOST


MAX_EPOCH = 2**53 - 1
"""What every reader of JSON has exactly. By ADDs it is never reached; only somebody who means harm writes more."""


@attrs.frozen
class Claim:
    """Who runs a pod: the owner part of a Topology's status, as the owning daemon wrote it.

    Attributes:
        node: name of the node, ``""`` when no daemon owns the pod.
        container_id: its sandbox, ``""`` likewise.
        epoch: rises by one at every ADD, to `MAX_EPOCH` at most; the newer owner is the owner.
        pod_uid: the pod's own uid, where the runtime tells it.
        receive_ids: of its ends, by interface: what its node takes frames for them by.
    """

    node: str = ""
    container_id: str = ""
    epoch: int = 0
    pod_uid: str = ""
    receive_ids: Mapping[str, int] = attrs.field(factory=dict, hash=False)

    @property
    def next_epoch(self) -> int:
        """Return the epoch of the owner after this one: after the last there is, the first again."""
        return self.epoch + 1 if self.epoch < MAX_EPOCH else 1


@attrs.frozen
class Topology:
    """The links that one pod declares, and who runs that pod.

    Attributes:
        links: by position as in `spec.links`.
        claim: from the status.
        uid: of the stored object.
    """

    namespace: str
    name: str
    links: tuple[Link, ...] = ()
    claim: Claim = Claim()
    uid: str = ""
    _by_interface: Mapping[str, Link] = attrs.field(init=False, repr=False, eq=False)

    @_by_interface.default
    def _index_links(self) -> Mapping[str, Link]:
        # A hub of 1500 links is asked for one of them 1500 times in a pass.
        return {link.local_intf: link for link in reversed(self.links)}

    @property
    def key(self) -> PodKey:
        return self.namespace, self.name

    def endpoint(self, link: Link) -> Endpoint:
        """This pod's side of `link`."""
        return Endpoint(self.namespace, self.name, link.local_intf)

    def peer(self, link: Link) -> Endpoint | None:
        """The other side of `link`; None when it is an interface of the node."""
        return None if link.external else Endpoint(self.namespace, link.peer_pod, link.peer_intf)

    def link(self, interface: str) -> Link | None:
        """The link of `interface`, or None."""
        return self._by_interface.get(interface)
