"""What pods do to their interfaces, what damages a port, and what the node must not do to either."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.netlink import Netlink, bpf, tc
from meshnet.netlink.netns import delete_netns, entered, new_netns
from meshnet.testing.traffic import captured, dishonest, tcp_load
from tests.kernel.daemons import link, pair, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kernel.daemons import DaemonNode, PodBox

pytestmark = pytest.mark.kernel

PASS_S = "0.2"
SEVERAL_PASSES_S = 1.0


@pytest.fixture
def eager(node: DaemonNode) -> DaemonNode:
    """A node whose daemon looks at everything all the time."""
    node.stop()
    node.start(MESHNET_PASS_SECONDS=PASS_S)
    return node


@pytest.fixture
def wired(eager: DaemonNode) -> tuple[DaemonNode, PodBox, PodBox]:
    eager.apply(*pair())
    r1, r2 = eager.up("r1", "r2")
    assert eventually(lambda: r1.carrier() and r2.carrier())
    return eager, r1, r2


def pings(pod: PodBox, address: str) -> bool:
    return " 1 received" in pod.run("ping", "-c", "1", "-W", "1", address, check=False)


def port_of(node: DaemonNode, pod: str, interface: str = "eth1") -> dict[str, Any]:
    rows = node.ask("links")["links"]
    (found,) = [row for row in rows if (row["pod"], row["interface"]) == (pod, interface)]
    return dict(found)


# ---- the pod's end is the pod's


def test_a_renamed_end_stays_as_the_pod_has_it(wired: tuple[DaemonNode, PodBox, PodBox]) -> None:
    node, r1, r2 = wired
    r1.run("ip", "link", "set", "eth1", "down")  # Linux before 6.2 renames no link that is up
    r1.run("ip", "link", "set", "eth1", "name", "uplink", "up")
    time.sleep(SEVERAL_PASSES_S)

    assert set(r1.links()) == {"uplink"}
    assert r1.carrier("uplink")
    assert pings(r2, "10.0.0.1")
    assert node.cni("CHECK", r1).done
    # and the daemon still finds it
    r1.run("ip", "link", "set", "uplink", "down")
    assert eventually(lambda: not r2.carrier())
    r1.run("ip", "link", "set", "uplink", "up")
    assert eventually(r2.carrier)
    assert node.delete(r1).done
    assert r1.links() == {}


def test_an_mtu_that_the_pods_raise_stays_and_what_the_cable_does_not_take_is_counted(
    wired: tuple[DaemonNode, PodBox, PodBox],
) -> None:
    node, r1, r2 = wired
    for pod in (r1, r2):  # as a bond does to its members
        pod.run("ip", "link", "set", "eth1", "mtu", "4000")
    time.sleep(SEVERAL_PASSES_S)
    before = port_of(node, "r1")

    r1.run("ping", "-c", "1", "-W", "0.5", "-M", "do", "-s", "3000", "10.0.0.2", check=False)

    after = port_of(node, "r1")
    assert after["mtu"] == 4000
    assert after["counters"]["tx_dropped"] > before["counters"]["tx_dropped"]
    assert pings(r1, "10.0.0.2")


def test_an_end_in_a_bridge_stays_there(wired: tuple[DaemonNode, PodBox, PodBox]) -> None:
    node, r1, r2 = wired
    r1.run("ip", "link", "add", "br0", "type", "bridge")
    r1.run("ip", "link", "set", "eth1", "master", "br0")
    r1.run("ip", "link", "set", "br0", "up")
    r1.run("ip", "addr", "flush", "dev", "eth1")
    r1.run("ip", "addr", "add", "10.0.0.1/24", "dev", "br0")
    time.sleep(SEVERAL_PASSES_S)

    assert r1.links()["eth1"].master == r1.links()["br0"].ifindex
    assert r1.addresses("eth1") == []
    assert r2.carrier()
    assert eventually(lambda: pings(r2, "10.0.0.1"))
    assert node.cni("CHECK", r1).done


def test_an_end_that_the_pod_set_down_stays_down(wired: tuple[DaemonNode, PodBox, PodBox]) -> None:
    node, r1, r2 = wired
    r1.run("ip", "link", "set", "eth1", "down")
    assert eventually(lambda: not r2.carrier())
    time.sleep(SEVERAL_PASSES_S)

    assert not r1.links()["eth1"].up
    assert not r2.carrier()
    assert node.cni("CHECK", r1).done
    node.kill()
    node.start()
    assert eventually(lambda: node.state("r1") == ("Up", ""))
    time.sleep(SEVERAL_PASSES_S)
    assert not r1.links()["eth1"].up
    assert not r2.carrier()
    r1.run("ip", "link", "set", "eth1", "up")
    assert eventually(lambda: r1.carrier() and r2.carrier())


def test_an_end_in_a_namespace_within_the_pod(wired: tuple[DaemonNode, PodBox, PodBox], tmp_path: Any) -> None:
    node, r1, r2 = wired
    path = str(tmp_path / "inner")
    new_netns(path)
    try:
        with entered(r1.fd):
            node.run(f"ip link set eth1 netns {path}")
        # a link that moves is set down by the kernel
        assert eventually(lambda: not r2.carrier())
        with nested(path) as inner:
            inner("ip addr add 10.0.0.1/24 dev eth1")
            inner("ip link set eth1 up")
            assert eventually(r2.carrier)
            assert eventually(lambda: pings(r2, "10.0.0.1"))
            time.sleep(SEVERAL_PASSES_S)
            assert r1.links() == {}
            assert r2.carrier()
            assert node.cni("CHECK", r1).done
            node.kill()
            node.start()
            assert eventually(lambda: node.state("r1") == ("Up", ""))
            inner("ip link set eth1 down")
            assert eventually(lambda: not r2.carrier())
            inner("ip link set eth1 up")
            assert eventually(r2.carrier)
    finally:
        delete_netns(path)


@contextlib.contextmanager
def nested(path: str) -> Iterator[Any]:
    fd = os.open(path, os.O_RDONLY)

    def run(command: str) -> None:
        with entered(fd):
            subprocess.run(command.split(), check=True, timeout=10)

    try:
        yield run
    finally:
        os.close(fd)


def test_passes_re_create_nothing(wired: tuple[DaemonNode, PodBox, PodBox]) -> None:
    """A container that restarts in the same sandbox finds what the first one found."""
    node, r1, r2 = wired
    before = (r1.links(), r2.links(), node.ports())
    r1.run("ip", "addr", "add", "10.1.1.1/32", "dev", "eth1")
    r1.run("ip", "link", "add", "net1", "type", "bridge")
    time.sleep(SEVERAL_PASSES_S)

    assert node.ports() == before[2]
    assert r2.links() == before[1]
    assert {name: info for name, info in r1.links().items() if name != "net1"} == before[0]
    assert sorted(r1.addresses()) == ["10.0.0.1/24", "10.1.1.1/32"]


# ---- damage


def damage_redirect(port: str) -> list[str]:
    return [f"tc filter del dev {port} ingress pref 1"]


def damage_qdisc(port: str) -> list[str]:
    return [f"tc qdisc del dev {port} clsact"]


def damage_state(port: str) -> list[str]:
    return [f"ip link set {port} down"]


def damage_mark(port: str) -> list[str]:
    return [f"ip link set {port} alias uplink"]


def damage_direction(port: str) -> list[str]:
    with Netlink.open() as netlink:
        netlink.run([tc.redirect(socket.if_nametoindex(port), 1)])
    return []


def damage_drop(port: str) -> list[str]:
    return [f"tc filter del dev {port} ingress pref 49152"]


def damage_own_drop(port: str) -> list[str]:
    return [f"tc filter del dev {port} egress pref 49152"]


UNHEARD = [damage_redirect, damage_qdisc, damage_direction, damage_drop, damage_own_drop]
"""What no event of a link tells of."""


@pytest.mark.parametrize("damage", UNHEARD)
def test_check_finds_damage_and_a_pass_repairs_it(node: DaemonNode, damage: Any) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(lambda: r1.carrier() and r2.carrier())
    port = port_of(node, "r1")["port"]
    assert node.cni("CHECK", r1).done
    before = shown(node, port)
    for command in damage(port):
        node.run(command)

    error = node.cni("CHECK", r1).error
    assert error["code"] == 999
    assert port in error["msg"]
    assert "default/r1:eth1" in error["msg"]
    assert node.cni("CHECK", r2).done

    node.stop()
    node.start(MESHNET_PASS_SECONDS=PASS_S)
    assert eventually(lambda: node.cni("CHECK", r1).done)
    assert eventually(lambda: pings(r1, "10.0.0.2"))
    assert eventually(lambda: shown(node, port) == before), shown(node, port)


@pytest.mark.parametrize("damage", [*UNHEARD, damage_state, damage_mark])
def test_a_pass_alone_repairs_damage(wired: tuple[DaemonNode, PodBox, PodBox], damage: Any) -> None:
    node, r1, _ = wired
    port = port_of(node, "r1")["port"]
    before = shown(node, port)
    for command in damage(port):
        node.run(command)

    assert eventually(lambda: shown(node, port) == before), shown(node, port)
    assert eventually(lambda: pings(r1, "10.0.0.2"))


def shown(node: DaemonNode, port: str) -> str:
    """A port's filters, state and mark as the kernel's own tools show them, without the number of a redirect.

    The kernel chooses it, and goes on using a deleted one's for a moment: one made meanwhile gets another.
    """
    (line,) = node.run(f"ip -o link show {port}").splitlines()
    filters = [node.run(f"tc filter show dev {port} {where}") for where in ("ingress", "egress")]
    return re.sub(r"\bindex \d+", "index", "\n".join([line.split(" qlen")[0], line.partition(" alias ")[2], *filters]))


def test_an_interface_that_the_pod_deleted_is_made_anew(node: DaemonNode) -> None:
    # a daemon that has to hear of it: its next full pass is a minute away
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(lambda: r1.carrier() and r2.carrier())
    r1.run("ip", "link", "del", "eth1")

    assert eventually(lambda: "eth1" in r1.links() and r1.carrier() and r2.carrier())
    assert eventually(lambda: pings(r1, "10.0.0.2"))
    assert len(node.ports()) == 2


def test_a_port_that_somebody_deleted_is_made_anew(node: DaemonNode) -> None:
    # a daemon that has to hear of it: its next full pass is a minute away
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(lambda: r1.carrier() and r2.carrier())
    node.run(f"ip link del {port_of(node, 'r1')['port']}")

    assert eventually(lambda: "eth1" in r1.links() and r1.carrier() and r2.carrier())
    assert eventually(lambda: pings(r1, "10.0.0.2"))
    assert len(node.ports()) == 2


def test_a_name_that_the_pod_took_is_found_by_check(wired: tuple[DaemonNode, PodBox, PodBox]) -> None:
    node, r1, r2 = wired
    r1.run("ip", "link", "set", "eth1", "down")
    r1.run("ip", "link", "set", "eth1", "name", "old")
    r1.run("ip", "link", "add", "eth1", "type", "bridge")
    r1.run("ip", "link", "del", "old")

    assert eventually(lambda: node.state("r1") == ("Failed", "NameTaken"))
    assert eventually(lambda: not r2.carrier())
    assert "eth1" in node.cni("CHECK", r1).error["msg"]
    r1.run("ip", "link", "del", "eth1")
    assert eventually(lambda: r1.links().get("eth1") is not None and r2.carrier(), within=40)


def test_check_of_a_pod_that_was_never_added(node: DaemonNode) -> None:
    assert node.cni("CHECK", node.pod("r1")).error["code"] == 3


# ---- GC


def test_gc_removes_what_is_not_listed_of_its_own_network_alone(node: DaemonNode) -> None:
    node.apply(*pair(), topology("x", link(5, "eth1", "y:eth1")), topology("o", link(6, "eth1", "p:eth1")))
    r1, r2, _ = node.up("r1", "r2", "x")
    other = node.pod("o")
    assert node.add(other, name="other").done
    assert len(node.ports()) == 4
    listed = [
        {"containerID": r1.container, "ifname": "eth0"},
        {"containerID": r2.container, "ifname": "another"},
    ]

    call = node.cni_begin("GC", None, **{"cni.dev/valid-attachments": listed})
    out, err = call.communicate(timeout=20)

    assert (call.returncode, out) == (0, ""), (out, err)
    kept = {(box["network"], box["pod"]) for box in node.ask("sandboxes")["sandboxes"]}
    assert kept == {("mesh", "r1"), ("other", "o")}
    assert len(node.ports()) == 2
    assert r2.links() == {}
    assert set(r1.links()) == {"eth1"}
    assert eventually(lambda: not node.status("x").get("node"))


def test_gc_without_a_list_removes_nothing(node: DaemonNode) -> None:
    node.apply(*pair())
    node.up("r1")

    call = node.cni_begin("GC", None)
    call.communicate(timeout=20)

    assert call.returncode == 1
    assert len(node.ports()) == 1


# ---- frames


def test_the_node_says_nothing_into_a_cable(wired: tuple[DaemonNode, PodBox, PodBox]) -> None:
    node, r1, _ = wired
    for name in ("all", "default"):
        with open(f"/proc/sys/net/ipv6/conf/{name}/forwarding", "w") as file:
            file.write("1")
    row = port_of(node, "r1")
    port, mac = row["port"], node.ports()[row["port"]].mac
    assert "inet6" not in node.run(f"ip addr show {port}")
    node.run(f"ip addr add 2001:db8::1/64 dev {port} nodad")
    with captured(r1, "eth1") as frames:
        say_something(port)
        time.sleep(0.3)
        assert [frame for frame in frames if source(frame) == mac] == []
        # without the drop it would have been heard
        node.run(f"tc filter del dev {port} egress")
        say_something(port)
        assert eventually(lambda: any(source(frame) == mac for frame in frames))


def say_something(port: str) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, socket.if_nametoindex(port))
        sock.sendto(b"hello", ("ff02::1", 9))


def source(frame: bytes) -> str:
    return frame[6:12].hex(":")


def test_a_receiver_sees_honest_frames(wired: tuple[DaemonNode, PodBox, PodBox]) -> None:
    _, r1, r2 = wired
    frames = stream(r1, r2)

    # Of some 2900: a busy machine may drop some at the capturing socket.
    assert len(frames) > 100
    assert dishonest(frames, 1500) == []


def stream(sender: PodBox, receiver: PodBox) -> list[bytes]:
    """Send by TCP to 10.0.0.2, the receiver's; return the frames that came in there."""
    with captured(receiver, "eth1") as frames:
        assert tcp_load(sender, receiver, "10.0.0.2", size=4 << 20) == 4 << 20
    return frames


def test_offload_is_a_redirect_to_the_peer_and_goes_again(node: DaemonNode) -> None:
    why_not = bpf.why_unusable()
    if why_not:
        pytest.skip(why_not)
    node.apply(*pair(options={"offload": True}))
    r1, r2 = node.up("r1", "r2")
    assert eventually(lambda: pings(r1, "10.0.0.2"))

    def methods() -> set[tuple[str, bool]]:
        return {(row["spliced_to"]["method"], row["offload"]) for row in node.ask("links")["links"]}

    assert methods() == {("redirect_peer", True)}
    assert max(map(len, stream(r1, r2))) > 1514
    node.kill()
    node.start()
    assert eventually(lambda: node.state("r1") == node.state("r2") == ("Up", ""))
    assert methods() == {("redirect_peer", True)}

    node.apply(*pair())
    assert eventually(lambda: methods() == {("mirred", False)})
    assert pings(r1, "10.0.0.2")
    assert max(map(len, stream(r1, r2))) <= 1514


# ---- the daemon itself


POOL = 4 + (os.cpu_count() or 1)
"""Threads of the event loop's executor at most, on a small machine."""


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_many_cycles_leave_nothing(node: DaemonNode) -> None:
    names = [f"p{number}" for number in range(20)]
    node.apply(
        *(
            topology(
                name,
                link(number, "eth1", f"p{(number + 1) % 20}:eth2"),
                link((number - 1) % 20, "eth2", f"p{(number - 1) % 20}:eth1"),
            )
            for number, name in enumerate(names)
        )
    )
    pods = [node.pod(name) for name in names]
    early: dict[str, int] = {}
    for cycle in range(50):
        for command in ("ADD", "DEL"):
            calls = [node.cni_begin(command, pod) for pod in pods]
            answers = [call.communicate(timeout=60) for call in calls]
            assert [call.returncode for call in calls] == [0] * 20, answers
        assert children(node) == []
        if cycle == 9:
            early = measured(node)

    late = measured(node)
    assert node.ports() == {}
    assert node.ask("sandboxes")["sandboxes"] == []
    assert late["descriptors"] == early["descriptors"]
    assert late["threads"] <= early["threads"] + POOL  # which grows while it is busy, not by the cycle
    assert late["kilobytes"] <= early["kilobytes"] + 5 * 1024


def measured(node: DaemonNode) -> dict[str, int]:
    assert eventually(lambda: node.ports() == {})
    fields = dict(line.split(":", 1) for line in node.proc("status").splitlines())
    return {
        "kilobytes": int(fields["VmRSS"].split()[0]),
        "threads": int(fields["Threads"]),
        "descriptors": node.descriptors(),
    }


def children(node: DaemonNode) -> list[str]:
    """The children of every thread of the daemon: nothing in it forks."""
    assert node.process is not None
    root = f"/proc/{node.process.pid}/task"
    found = []
    for thread in os.listdir(root):
        with contextlib.suppress(FileNotFoundError), open(f"{root}/{thread}/children") as file:
            found += file.read().split()
    return found
