"""An end of a link whose pod runs here: what it should be, what it is, and why it is not that."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.dispatch.resolve import Plan
    from meshnet.driver.api import LinkEnd, Peer, Splice
    from meshnet.model.topology import Endpoint
    from meshnet.panel.port import PanelPort
    from meshnet.reconcile.sandbox import Sandbox

INTERFACE_MOVED = "InterfaceMoved"
"""The reason of a driver's own interface that its pod has moved into a namespace within."""


@attrs.frozen
class Applied:
    """What of the spec was last applied to the pod's end. Only a difference from this is ever applied to it.

    Attributes:
        mac: ``""`` where nothing is known: the checkpoint was lost.
        driver: of a direct interface; ``""`` where there is a port.
    """

    uid: int
    mac: str
    mtu: int
    addresses: tuple[str, ...]
    driver: str = ""


@attrs.frozen
class Joint:
    """What an end is patched to: the peer and its epoch; (None, 0) for an interface of the node."""

    peer: Endpoint | None
    epoch: int


@attrs.define(eq=False)
class End:
    """One end of a link whose pod runs here.

    Attributes:
        endpoint: which one.
        sandbox: where.
        applied: the spec as the pod's end has it.
        port: the node side; None while the interface is a driver's own, or could not be made.
        interface: index in the pod of a driver's own interface; 0 when there is none.
        interface_up: whether that is administratively up.
        plan: what it should be, as last resolved.
        patched, patched_by: what which driver was last asked for; None and ``""`` while there is no patch.
        told: what that driver was told of the peer.
        splice: what that driver answered.
        joint: whom the patch reaches.
        confirmed: of a joint with an end on another node: its daemon has said the same.
        reason, message: why it is not as it should be; ``""`` when it is, or when the plan says why.
        outstanding: what of its spec the running pod's interface has not got, and cannot be given; ``""`` for nothing.
        refused: addresses that the pod did not take at the last change of its interface; None before the first.
        path_reason: what the driver says of its path, ``""`` while it is good.
        receive_id, offer: what a peer on another node needs to reach it: core's part and the driver's.
        adopted: found in the kernel at the daemon's start, and not settled since.
        generation: of its Topology, when it was last settled.
    """

    endpoint: Endpoint
    sandbox: Sandbox = attrs.field(repr=False)
    applied: Applied
    port: PanelPort | None = None
    interface: int = 0
    interface_up: bool = False
    plan: Plan | None = attrs.field(default=None, repr=False)
    patched: LinkEnd | None = attrs.field(default=None, repr=False)
    patched_by: str = ""
    told: Peer | None = attrs.field(default=None, repr=False)
    splice: Splice | None = None
    joint: Joint | None = None
    confirmed: bool = False
    reason: str = ""
    message: str = ""
    outstanding: str = ""
    refused: Sequence[str] | None = None
    path_reason: str = ""
    receive_id: int = 0
    offer: Mapping[str, Any] = attrs.field(factory=dict, repr=False)
    adopted: bool = False
    generation: int = 0

    @property
    def pod_ifindex(self) -> int:
        return self.port.pod_ifindex if self.port else self.interface

    @property
    def nsid(self) -> int:
        return self.port.nsid if self.port else self.sandbox.nsid

    @property
    def pod_up(self) -> bool:
        """The pod's interface is administratively up."""
        return self.port.pod_up if self.port else self.interface_up

    @pod_up.setter
    def pod_up(self, up: bool) -> None:
        if self.port:
            self.port.pod_up = up
        else:
            self.interface_up = up

    def concerns(self, driver: str) -> bool:
        """Whether a driver has patched the end, or is to."""
        wanted = self.plan.driver.name if self.plan is not None and self.plan.driver is not None else ""
        return driver in (self.patched_by, wanted)

    def lose_port(self) -> None:
        """Take note that the port is gone, and with it what it was spliced to."""
        self.port, self.joint, self.splice = None, None, None

    def fail(self, reason: str, message: str) -> None:
        """Keep why the end is not as it should be."""
        self.reason, self.message = reason, message

    @property
    def why_not(self) -> tuple[str, str]:
        """(reason, message) of what is not as its spec says, its `fault` first; empty when all is."""
        if self.fault == ("", "") and self.outstanding:
            return "RestartPod", self.outstanding
        return self.fault

    @property
    def trouble(self) -> str:
        """The message of `why_not` without the name of the end, with which those of drivers begin."""
        return self.why_not[1].removeprefix(f"{self.endpoint}: ")

    @property
    def fault(self) -> tuple[str, str]:
        """(reason, message) of what keeps the cable from being whole, empty when nothing does.

        The plan's comes first, unless that is only to wait.
        """
        if self.plan is None:
            return "TopologyMissing", "the pod's Topology does not exist (any more) or does not declare this interface"
        if self.plan.reason and not (self.plan.waiting and self.reason):
            return self.plan.reason, self.plan.message
        if self.reason:
            return self.reason, self.message
        return (self.path_reason, "the driver reports that its path failed") if self.path_reason else ("", "")

    @property
    def only_path_failed(self) -> bool:
        """What the driver says of its path is all that keeps the cable from being whole."""
        return bool(self.path_reason) and self.plan is not None and not (self.plan.reason or self.reason)
