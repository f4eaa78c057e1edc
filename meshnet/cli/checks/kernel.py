"""What the kernel can do, tried in a throw-away network namespace."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.throwaway import in_throwaway
from meshnet.errors import KernelError, MeshnetError
from meshnet.lab.userns import advice
from meshnet.netlink import Netlink, Request, VethSpec, bpf, ifla, tc
from meshnet.netlink.events import LinkMonitor
from meshnet.netlink.netns import own_netns
from meshnet.netlink.veth import new_veth
from meshnet.netlink.wire import NLM_F_CREATE, NLM_F_EXCL, nested, string, u32

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PORT, PEER, TARGET = 1001, 1002, 1003
"""Interface indices in the throw-away namespace."""

VXLAN_INFO_ID = 1


@attrs.frozen
class Feature:
    """Something of the kernel that meshnet uses.

    Attributes:
        name: what it is called.
        without: what an absent one costs.
        outcome: how bad that is.
        probe: tries it; raises KernelError.
        module: the kernel module that brings it, or ``""``.
    """

    name: str
    without: str
    outcome: Outcome
    probe: Callable[[Netlink], None]
    module: str = ""


def check_kernel() -> list[Finding]:
    """Return a finding for every feature, and one for the namespaces themselves when the machine refuses those."""
    try:
        problems: list[str] = in_throwaway(_probe)
    except MeshnetError as error:
        settings = advice() if os.geteuid() else "run it with CAP_SYS_ADMIN and CAP_NET_ADMIN"
        return [Finding("kernel", "network namespaces", Outcome.FAIL, str(error), settings)]
    version = os.uname().release
    first = Finding("kernel", "network namespaces", Outcome.OK, f"Linux {version}: one can be made")
    return [first, *(_finding(feature, problem) for feature, problem in zip(FEATURES, problems, strict=True))]


def _finding(feature: Feature, problem: str) -> Finding:
    if not problem:
        return Finding("kernel", feature.name, Outcome.OK, "works")
    cure = f"load the kernel module: modprobe {feature.module}; " if feature.module else ""
    return Finding("kernel", feature.name, feature.outcome, problem, f"{cure}without it: {feature.without}")


def _probe() -> Sequence[str]:
    """Try every feature here, in their order; return what is wrong with each, ``""`` for nothing."""
    with Netlink.open() as netlink:
        return [_try(feature, netlink) for feature in FEATURES]


def _try(feature: Feature, netlink: Netlink) -> str:
    try:
        feature.probe(netlink)
    except KernelError as error:
        return str(error)
    return ""


def _veth(netlink: Netlink) -> None:
    own = own_netns()
    try:
        for index, peer in ((PORT, PEER), (TARGET, TARGET + 1)):
            mac = f"02:00:00:00:00:{index & 0xFF:02x}"
            spec = VethSpec(f"port{index}", index, mac, 1500, f"peer{index}", "02:00:00:00:01:01", own, peer)
            netlink.run([new_veth(spec)])
    finally:
        os.close(own)


def _of_kind(kind: str, data: bytes = b"", parent: int = 0) -> Callable[[Netlink], None]:
    def probe(netlink: Netlink) -> None:
        info = nested(ifla.IFLA_LINKINFO, string(ifla.IFLA_INFO_KIND, kind), nested(ifla.IFLA_INFO_DATA, data))
        body = ifla.IFINFO.pack(0, 0, 0, 0, 0) + string(ifla.IFLA_IFNAME, f"try-{kind}") + info
        body += u32(ifla.IFLA_LINK, parent) if parent else b""
        netlink.run([Request(ifla.RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, f"make a {kind} device")])

    return probe


def _clsact(netlink: Netlink) -> None:
    netlink.run([tc.add_clsact(PORT)])


def _cls_bpf(netlink: Netlink) -> None:
    netlink.run([tc.add_ingress_drop(PORT)])


def _mirred(netlink: Netlink) -> None:
    netlink.run([tc.redirect(PORT, TARGET)])


def _events(_netlink: Netlink) -> None:
    LinkMonitor().close()


def _bpf(_netlink: Netlink) -> None:
    fd = bpf.load_redirect_peer(TARGET)
    os.close(fd)


FEATURES = (
    Feature("veth", "no pod gets an interface", Outcome.FAIL, _veth, "veth"),
    Feature("clsact", "no port can be made", Outcome.FAIL, _clsact, "sch_ingress"),
    Feature("cls_bpf (classic)", "no port can be made", Outcome.FAIL, _cls_bpf, "cls_bpf"),
    Feature("u32 with mirred", "no link can be patched", Outcome.FAIL, _mirred, "cls_u32 act_mirred"),
    Feature(
        "NETLINK_LISTEN_ALL_NSID", "carrier does not follow the peer; needs CAP_NET_BROADCAST", Outcome.FAIL, _events
    ),
    Feature(
        "macvlan", "no macvlan links to the node's network", Outcome.WARN, _of_kind("macvlan", parent=PEER), "macvlan"
    ),
    Feature("vxlan", "no vxlan links between nodes", Outcome.WARN, _of_kind("vxlan", u32(VXLAN_INFO_ID, 1)), "vxlan"),
    Feature("bpf(2) with bpf_redirect_peer", "links with `offload` go through mirred, slower", Outcome.WARN, _bpf),
)
