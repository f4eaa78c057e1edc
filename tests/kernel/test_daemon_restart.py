"""A daemon that is away, killed, back again: links go on, and what happened meanwhile is made good."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.model import names
from meshnet.netlink import Netlink, VethSpec, links
from tests.kernel.daemons import DaemonNode, link, pair, topology
from tests.kernel.pods import eventually, name_fully

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = pytest.mark.kernel


def lost(report: str) -> int:
    """Packets that a ping sent and did not get back; it must have sent many."""
    found = re.search(r"(\d+) packets transmitted, (\d+) received", report)
    assert found, report
    sent, received = int(found[1]), int(found[2])
    assert sent > 100, report
    return sent - received


def settled(node: DaemonNode, *pods: str) -> Callable[[], bool]:
    return lambda: all(node.state(pod) == ("Up", "") for pod in pods)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_traffic_does_not_notice(node: DaemonNode, end: str) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)
    assert eventually(lambda: "tentative" not in r1.run("ip", "addr") + r2.run("ip", "addr"))
    before = {pod.name: pod.links() for pod in (r1, r2)}
    ports = node.ports()
    watch = ("ip", "-o", "monitor", "link", "address")
    with r1.running(*watch) as near, r2.running(*watch) as far:
        with r1.running("ping", "-q", "-i", "0.002", "-w", "4", "10.0.0.2") as ping:
            for _ in range(2):
                getattr(node, end)()
                time.sleep(0.2)
                node.start()
                assert eventually(settled(node, "r1", "r2"))
            report, _ = ping.communicate(timeout=20)

        assert lost(report) == 0
        assert {pod.name: pod.links() for pod in (r1, r2)} == before
        assert node.ports() == ports
        # The monitors do hear: what ends the silence is the peer's end.
        assert node.delete(r2).done
        assert eventually(lambda: not r1.carrier())
        time.sleep(0.1)
        heard = []
        for monitor in (near, far):
            monitor.terminate()
            heard.append(monitor.communicate(timeout=10)[0])
    assert all(lines.splitlines() for lines in heard)
    assert "NO-CARRIER" in heard[0].splitlines()[0], heard[0]
    assert "eth1@NONE" in heard[1].splitlines()[0], heard[1]


def test_a_restarted_daemon_knows_everything(node: DaemonNode) -> None:
    node.apply(*pair())
    node.up("r1", "r2")
    assert eventually(settled(node, "r1", "r2"))
    before = (node.ask("links"), node.ask("sandboxes"), node.status("r1"))

    node.kill()
    node.start()
    assert eventually(settled(node, "r1", "r2"))

    def stable(answer: dict[str, Any]) -> list[dict[str, Any]]:
        rows = answer.get("links") or answer["sandboxes"]
        kept = [{key: value for key, value in row.items() if key != "counters"} for row in rows]
        return sorted(kept, key=lambda row: str(row["pod"]))

    assert stable(node.ask("links")) == stable(before[0])
    assert stable(node.ask("sandboxes")) == stable(before[1])
    assert node.status("r1")["epoch"] == before[2]["epoch"]


def test_carrier_follows_again_after_a_restart(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    node.kill()
    node.start()

    r2.run("ip", "link", "set", "eth1", "down")
    assert eventually(lambda: not r1.carrier())
    r2.run("ip", "link", "set", "eth1", "up")
    assert eventually(r1.carrier)


def test_what_happened_meanwhile_is_made_good(node: DaemonNode) -> None:
    node.apply(*pair(), *three())
    r1, r2, a, b, c = node.up("r1", "r2", "a", "b", "c")
    assert eventually(lambda: a.carrier("eth1") and a.carrier("eth2"))
    node.kill()

    r2.end()
    b.run("ip", "link", "set", "eth1", "down")
    node.apply(topology("a", link(10, "eth1", "b:eth1")), topology("c"))
    node.start()

    assert eventually(lambda: not r1.carrier())
    assert eventually(lambda: not a.carrier())
    assert eventually(lambda: set(a.links()) == {"eth1"})
    assert eventually(lambda: c.links() == {})
    assert eventually(lambda: len(node.ports()) == 3)
    assert eventually(lambda: not node.status("r2").get("node"))
    b.run("ip", "link", "set", "eth1", "up")
    assert eventually(a.carrier)


def three() -> list[dict[str, object]]:
    return [
        topology("a", link(10, "eth1", "b:eth1"), link(11, "eth2", "c:eth1")),
        topology("b", link(10, "eth1", "a:eth1")),
        topology("c", link(11, "eth1", "a:eth2")),
    ]


def test_who_was_taken_over_does_not_come_back_with_a_restart(node: DaemonNode) -> None:
    node.apply(*pair())
    old, r2 = node.up("r1", "r2")
    newer = node.pod("r1", "c-newer")
    assert node.add(newer).done
    assert node.delete(newer).done

    node.kill()
    node.start(MESHNET_PASS_SECONDS="0.2")

    time.sleep(1.0)
    assert not node.status("r1").get("node")
    assert node.status("r1")["epoch"] == 2
    assert not old.carrier()
    assert not r2.carrier()
    assert node.state("r2")[0] == "Pending"


def test_a_topology_deleted_meanwhile_unplugs(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)
    node.kill()
    node.withdraw("r2")
    node.start()

    assert eventually(lambda: not r1.carrier())
    assert eventually(lambda: not r2.carrier())
    assert set(r2.links()) == {"eth1"}


def test_a_patch_to_what_is_gone_goes_even_without_the_store(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)
    port = next(row["port"] for row in node.ask("links")["links"] if row["pod"] == "r1")
    assert "mirred" in node.run(f"tc filter show dev {port} ingress")
    node.kill()
    r2.end()
    assert eventually(lambda: len(node.ports()) == 1)
    node.begin(MESHNET_STORE=f"sqlite:{node.directory}/missing/store.db")

    assert eventually(lambda: not r1.carrier())
    assert eventually(lambda: "mirred" not in node.run(f"tc filter show dev {port} ingress"))


@pytest.mark.parametrize("when", ["before", "after"])
def test_links_go_on_without_the_store_and_lose_carrier_with_their_peer(node: DaemonNode, when: str) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(lambda: r1.carrier() and r2.carrier())
    node.kill()
    if when == "before":
        r2.run("ip", "link", "set", "eth1", "down")
    node.begin(MESHNET_STORE=f"sqlite:{node.directory}/missing/store.db")
    assert eventually(node.answers, within=20)

    if when == "after":
        r1.run("ping", "-c", "1", "-W", "5", "10.0.0.2")
        r2.run("ip", "link", "set", "eth1", "down")
    assert eventually(lambda: not r1.carrier())
    assert node.delete(r2).done
    assert len(node.ports()) == 1


def forget_links(node: DaemonNode, pod: str) -> None:
    """Have a pod's checkpoint be from before it had any link."""
    for file in (node.directory / "run" / "sandboxes").glob("*.json"):
        saved = json.loads(file.read_text())
        if saved["pod"] == pod:
            file.write_text(json.dumps(saved | {"ends": {}}))


def test_a_port_that_its_pods_checkpoint_does_not_list_stays(node: DaemonNode) -> None:
    """A full disk keeps checkpoints from being written; pods get their links nevertheless."""
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r2.carrier)
    before = r1.links()["eth1"].ifindex
    node.kill()
    forget_links(node, "r1")
    node.start()

    assert eventually(settled(node, "r1", "r2"))
    assert r1.links()["eth1"].ifindex == before
    assert r1.addresses() == ["10.0.0.1/24"]
    assert r1.carrier()
    assert r2.carrier()
    node.kill()
    node.start()  # and now it is listed
    assert node.log().count("no checkpoint lists it") == 1


def test_a_port_that_nothing_lists_or_declares_goes(node: DaemonNode) -> None:
    """A daemon can be killed between writing that a link is withdrawn and deleting its port."""
    node.apply(*pair())
    (r1,) = node.up("r1")
    node.kill()
    forget_links(node, "r1")
    node.apply(topology("r1"))
    node.start()

    assert eventually(lambda: r1.links() == {})
    assert node.ports() == {}


def test_a_port_whose_making_was_cut_off_is_made_again(node: DaemonNode) -> None:
    """A daemon can be killed between marking a running pod's new port and giving the pod's end its addresses."""
    node.apply(topology("r1"))
    (r1,) = node.up("r1")
    node.kill()
    node.apply(*pair())
    name, alias = names.port_name(r1.container, "eth1"), names.Mark("default", "r1", "eth1", 1, r1.container).alias
    spec = VethSpec(name, 1 << 20, "06:00:00:00:00:01", 1500, "eth1", "02:00:00:00:00:01", r1.fd)
    with Netlink.open() as netlink:
        netlink.run([links.new_veth(spec), links.set_link(1 << 20, alias=alias)])
    half = r1.links()["eth1"].ifindex
    node.start()

    assert eventually(lambda: "eth1" in r1.links() and r1.links()["eth1"].ifindex != half)
    assert eventually(lambda: r1.addresses() == ["10.0.0.1/24"])
    assert len(node.ports()) == 1


def test_ports_that_have_no_mark_yet_are_deleted(node: DaemonNode) -> None:
    """A port is made in one request and marked in the next; a daemon can die between them."""
    node.apply(*pair())
    node.kill()
    r1 = node.pod("r1")
    for name, index, inside in (
        (names.port_name(r1.container, "eth1"), 1 << 20, "eth1"),
        ("mn0123456789ab", 77, "low"),
        ("mn-other", 1 << 20 | 1, "other"),
    ):
        spec = VethSpec(name, index, f"06:00:00:00:00:{index & 0xFF:02x}", 1500, inside, "02:00:00:00:00:01", r1.fd)
        with Netlink.open() as netlink:
            netlink.run([links.new_veth(spec)])
    node.start()

    assert {info.name for info in node.netlink_links()} == {"mn0123456789ab", "mn-other"}
    assert set(r1.links()) == {"low", "other"}
    assert node.add(r1).done
    assert node.state("r1") == ("Pending", "PeerNotRunning")


@pytest.mark.slow
def test_killed_in_the_midst_of_many_adds(node: DaemonNode) -> None:
    pod_names = [f"p{number}" for number in range(40)]
    node.apply(
        *(
            topology(name, *(link(number * 10 + k, f"eth{k}", f"{name}x:eth{k}") for k in range(1, 5)))
            for number, name in enumerate(pod_names)
        )
    )
    pods = [node.pod(name) for name in pod_names]
    for delay in (0.01, 0.05, 0.1):
        calls = [node.cni_begin("ADD", pod) for pod in pods]
        time.sleep(delay)
        node.kill()
        node.start()
        for call in calls:
            out, err = call.communicate(timeout=30)
            assert call.returncode == 0, (out, err)
        assert eventually(lambda: len(node.ports()) == 160)
        calls = [node.cni_begin("DEL", pod) for pod in pods]
        time.sleep(delay)
        node.kill()
        node.start()
        assert [call.wait(30) for call in calls] == [0] * 40
        for call in calls:
            call.communicate()
        assert all(node.delete(pod).done for pod in pods)
        assert eventually(lambda: node.ports() == {}), (node.ports(), node.ask("sandboxes"))
        assert all(pod.links() == {} for pod in pods)


def test_add_waits_for_a_daemon_that_comes_back(node: DaemonNode) -> None:
    node.apply(*pair())
    node.kill()
    call = node.cni_begin("ADD", node.pod("r1"))
    time.sleep(0.5)
    assert call.poll() is None
    node.start()

    out, err = call.communicate(timeout=20)
    assert call.returncode == 0, (out, err)
    assert len(node.ports()) == 1


def test_without_a_daemon_add_says_try_again_and_del_succeeds(node: DaemonNode) -> None:
    node.apply(*pair())
    (r1,) = node.up("r1")
    node.kill()

    assert node.add(node.pod("r2")).error["code"] == 11
    assert node.cni("CHECK", r1).error["code"] == 11
    answer = node.delete(r1)
    assert (answer.code, answer.out) == (0, "")

    # What the unheard DEL leaves is cleaned up when the namespace goes, or by GC.
    r1.end()
    node.start()
    assert eventually(lambda: node.ports() == {})
    assert eventually(lambda: node.ask("sandboxes")["sandboxes"] == [])


def test_a_namespace_without_del_is_cleaned_up(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)
    r2.end()

    assert eventually(lambda: not r1.carrier())
    assert eventually(lambda: len(node.ports()) == 1)
    assert eventually(lambda: not node.status("r2").get("node"))
    assert [box["pod"] for box in node.ask("sandboxes")["sandboxes"]] == ["r1"]
    assert len(list((node.directory / "run" / "sandboxes").iterdir())) == 1


def test_a_namespace_that_only_lost_its_path_lives_on(node: DaemonNode) -> None:
    """A daemon that cannot see what the runtime sees must not take running pods for dead."""
    node.stop()
    node.start(MESHNET_PASS_SECONDS="0.2")
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)
    held = os.dup(r2.fd)
    try:
        r2.end()
        time.sleep(1)
        node.kill()
        node.start()
        time.sleep(1)
        assert r1.carrier()
        assert len(node.ports()) == 2
    finally:
        os.close(held)
    assert eventually(lambda: len(node.ports()) == 1)
    assert eventually(lambda: not r1.carrier())
    assert eventually(lambda: len(node.ask("sandboxes")["sandboxes"]) == 1)


def test_a_namespace_of_a_pod_without_links_is_cleaned_up_too(node: DaemonNode) -> None:
    (pod,) = node.up("nobody")
    assert len(node.ask("sandboxes")["sandboxes"]) == 1
    pod.end()

    assert eventually(lambda: node.ask("sandboxes")["sandboxes"] == [])


def test_indexes_of_ports_are_high_and_never_come_again(node: DaemonNode) -> None:
    node.apply(*pair())
    seen: list[int] = []
    for round_ in range(6):
        r1, r2 = node.up("r1", "r2")
        seen += [info.ifindex for info in node.ports().values()]
        assert node.delete(r1).done
        assert node.delete(r2).done
        if round_ % 2:
            node.kill()
            node.start()

    assert len(seen) == 12
    assert len(set(seen)) == 12
    assert min(seen) >= 1 << 20


def test_an_index_that_somebody_else_has_is_stepped_over(node: DaemonNode) -> None:
    node.apply(*pair())
    node.up("r1")
    (port,) = node.ports().values()
    taken = [port.ifindex + 1 + number for number in range(3)]
    for index in taken:
        node.run(f"ip link add br{index} index {index} type bridge")

    (r2,) = node.up("r2")

    assert eventually(r2.carrier)
    assert {info.ifindex for info in node.netlink_links() if info.name.startswith("br")} == set(taken)


def test_without_its_store_it_never_passes_a_pod(node_ns: int, tmp_path: Path, new_ns: Callable[[], int]) -> None:
    """Whether the pod has a Topology is unknown then, and so is whether it may start without links."""
    with contextlib.closing(DaemonNode(tmp_path, new_ns)) as node:
        node.begin(MESHNET_STORE=f"sqlite:{tmp_path}/missing/store.db")
        assert eventually(node.answers, within=20), node.log()

        assert node.add(node.pod("r1")).error["code"] == 11
        assert node.ask("sandboxes")["sandboxes"] == []
        node.stop()


def test_a_claim_that_cannot_be_written_undoes_the_add(node: DaemonNode) -> None:
    node.apply(*pair())
    r1 = node.pod("r1")
    connection = sqlite3.connect(node.directory / "store.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")

    error = node.add(r1).error

    connection.execute("ROLLBACK")
    connection.close()
    assert error["code"] == 11
    assert r1.links() == {}
    assert node.ports() == {}
    assert node.ask("sandboxes")["sandboxes"] == []
    assert list((node.directory / "run" / "sandboxes").iterdir()) == []
    assert node.add(r1).done


def test_an_add_that_fails_leaves_the_pod_to_who_had_it(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(lambda: r1.carrier() and r2.carrier())
    connection = sqlite3.connect(node.directory / "store.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")

    assert not node.add(node.pod("r1", "c-newer")).done

    connection.execute("ROLLBACK")
    connection.close()
    assert eventually(lambda: r1.carrier() and r2.carrier())
    assert eventually(settled(node, "r1", "r2"))
    assert node.status("r1")["container_id"] == "c-r1"


def test_links_of_others_stay(node: DaemonNode) -> None:
    """Nothing is meshnet's but what has its mark."""
    for command in (
        "link add mn0123456789ab type bridge",
        "link set mn0123456789ab alias meshnet",
        "link add br0 type bridge",
        "link add name va type veth peer name vb",
        "link set va master br0 up",
    ):
        node.run(f"ip {command}")
    node.apply(*pair())
    r1 = node.pod("r1")
    r1.run("ip", "link", "add", "net1", "type", "bridge")
    r1.run("ip", "link", "add", "tun0", "type", "veth", "peer", "name", "tun1")
    strangers = {info.ifindex: info for info in node.netlink_links()}
    inside = r1.links()

    node.up("r2")
    assert node.add(r1).done
    node.apply(topology("r1"))
    assert eventually(lambda: "eth1" not in r1.links())
    node.kill()
    node.start()
    assert node.delete(r1).done

    assert r1.links() == inside
    ports = {info.ifindex for info in node.ports().values() if info.name != "mn0123456789ab"}
    assert {info.ifindex: info for info in node.netlink_links() if info.ifindex not in ports} == strangers
    with Netlink.open() as netlink:
        assert links.parse_link(netlink.ask(links.get_link("mn0123456789ab"))).alias == "meshnet"


def test_interface_that_its_pod_gave_all_the_names_it_may_have_keeps_no_daemon_from_starting(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(settled(node, "r1", "r2"))
    with Netlink.open(r1.fd) as inside:
        name_fully(inside, r1.links()["eth1"].ifindex)

    node.kill()
    node.start()

    assert eventually(settled(node, "r1", "r2"))
    r1.run("ip", "link", "set", "eth1", "down")
    assert eventually(lambda: not r2.carrier())


@pytest.mark.parametrize("container", ["c-r1", "c-new"])
def test_a_namespace_with_path_and_inode_number_of_a_dead_pods_is_not_taken_for_it(
    node: DaemonNode, container: str
) -> None:
    """The kernel gives the inode number of a namespace that has ended to the next one."""
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r2.carrier)
    node.kill()
    new, dead = node.pod("r1", container), os.fstat(r1.fd).st_ino
    os.dup2(new.fd, r1.fd)  # no other name of the dead one is left
    new.end()
    new.fd = r1.fd
    assert eventually(lambda: len(node.ports()) == 1)
    for file in (node.directory / "run" / "sandboxes").glob("*.json"):
        file.write_text(re.sub(rf"\b{dead}\b", str(os.fstat(new.fd).st_ino), file.read_text()))

    node.start()

    assert [box["pod"] for box in node.ask("sandboxes")["sandboxes"]] == ["r2"]
    assert new.links() == {}
    assert node.add(new).done
    assert eventually(settled(node, "r1", "r2"))
    assert node.delete(new).done
    new.end()
