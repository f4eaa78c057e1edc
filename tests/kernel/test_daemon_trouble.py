"""Trouble around a daemon: full disks, damaged and missing files, interfaces where nobody would look for them."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshnet.cli import exitcodes
from meshnet.cni.error import Code
from meshnet.errors import KernelError
from meshnet.netlink import Ethtool
from meshnet.netlink.netns import anonymous_netns, entered
from meshnet.reconcile.passes import ALIVE_S
from tests.kernel.daemons import link, pair, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.kernel.daemons import DaemonNode, PodBox

pytestmark = pytest.mark.kernel

MANY = range(1, 60)
PAGE = 4096
A_PASS = "0.2"


def many(**fields: int) -> dict[str, object]:
    return topology("r1", *(link(i, f"eth{i}", f"r2:eth{i}", **fields) for i in MANY))


@contextlib.contextmanager
def small(directory: Path) -> Iterator[None]:
    """Mount a file system of 16 pages at a directory."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(directory)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(directory)], check=True)


@contextlib.contextmanager
def full_but_a_page(directory: Path) -> Iterator[None]:
    """Fill a file system up, but for one page."""
    filler = directory / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(b"\0" * PAGE) == PAGE:
            pass
    os.truncate(filler, filler.stat().st_size - PAGE)
    yield
    filler.unlink()


def fill_page(file: Path) -> None:
    """Have a file use all of its last page, by a line that says nothing."""
    with file.open("a") as opened:
        opened.write(" " * (-file.stat().st_size % PAGE - 1) + "\n")


def move(pod: PodBox, netns: int) -> None:
    """Move a pod's eth1 to another network namespace."""
    pod.run("ip", "link", "set", "eth1", "netns", f"/proc/{os.getpid()}/fd/{netns}")


def test_a_full_run_directory_costs_no_pod_its_interfaces(node: DaemonNode) -> None:
    run = node.directory / "run"
    node.stop()
    with small(run):
        node.start()
        node.apply(many(mtu=1500))
        (r1,) = node.up("r1")
        with full_but_a_page(run):
            node.apply(many(mtu=1400))
            assert eventually(lambda: {info.mtu for info in r1.links().values()} == {1400})
        node.kill()
        node.start()
        assert len(r1.links()) == len(MANY)
        assert eventually(lambda: node.state("r1")[1] == "PeerMissing")
        node.close()


def test_what_could_not_be_kept_is_kept_as_soon_as_there_is_room(node: DaemonNode) -> None:
    run = node.directory / "run"
    node.stop()
    with small(run):
        node.start()
        node.apply(topology("r1"))
        (r1,) = node.up("r1")
        (checkpoint,) = (run / "sandboxes").glob("*.json")
        with full_but_a_page(run):
            node.apply(many())
            assert eventually(lambda: len(r1.links()) == len(MANY))
            assert checkpoint.stat().st_size < PAGE
        assert eventually(lambda: checkpoint.stat().st_size > PAGE, within=ALIVE_S + 2)
        assert os.listdir(run / "sandboxes") == [checkpoint.name]
        node.close()


def test_a_daemon_starts_on_a_full_state_directory(node: DaemonNode) -> None:
    state = node.directory / "state"
    node.stop()
    with small(state):
        node.start()
        node.apply(*pair(), topology("r3", link(2, "eth1", "r4:eth1")))
        r1, r2 = node.up("r1", "r2")
        assert eventually(r1.carrier)
        with full_but_a_page(state):
            node.kill()
            (state / "more").write_bytes(bytes(PAGE))
            fill_page(state / "identifiers.jsonl")
            node.start()
            assert eventually(r1.carrier)
            assert node.delete(r2).done
            assert node.add(node.pod("r5")).done  # it has no links
            r3 = node.pod("r3")
            assert node.add(r3).error["code"] == Code.TRY_AGAIN_LATER
        (state / "more").unlink()
        assert node.add(r3).done
        assert eventually(lambda: node.state("r3")[1] == "PeerMissing")
        node.close()


def test_a_state_directory_that_cannot_be_used_is_told_in_one_line(node: DaemonNode) -> None:
    node.stop()
    kept = node.directory / "state" / "identifiers.jsonl"
    kept.unlink()
    kept.mkdir()
    node.begin()

    assert node.process is not None
    assert node.process.wait(60) == exitcodes.FAILED
    told = f"settings: MESHNET_STATE_DIR: '{kept}': a file that it can read and write: Is a directory"
    assert node.log().splitlines()[-1] == f"error: {told}"
    assert "Traceback" not in node.log()
    node.process = None


@pytest.mark.parametrize(("name", "make"), [("sandboxes", Path.touch), ("ifindex", Path.mkdir)])
def test_what_stands_in_the_way_in_the_run_directory_is_told_in_one_line(
    node: DaemonNode, name: str, make: Callable[[Path], None]
) -> None:
    node.stop()
    way = node.directory / "run" / name
    if way.is_dir():
        shutil.rmtree(way)
    make(way)
    node.begin()

    assert node.process is not None
    assert node.process.wait(60) == exitcodes.FAILED
    last = node.log().splitlines()[-1]
    assert last.startswith("error: the daemon cannot start: ")
    assert last.endswith(f": '{way}'")
    assert "Traceback" not in node.log()
    node.process = None


def test_a_run_directory_that_somebody_removed_comes_again(node: DaemonNode) -> None:
    run = node.directory / "run"
    node.apply(*pair())
    r1, _ = node.up("r1", "r2")
    assert eventually(r1.carrier)

    shutil.rmtree(run)
    assert eventually(lambda: node.socket.exists() and len(list(run.glob("sandboxes/*.json"))) == 2, within=ALIVE_S + 2)
    assert node.ready()
    assert node.add(node.pod("r3")).done
    node.kill()
    node.start()

    assert len(node.ports()) == 2
    assert r1.carrier()
    assert eventually(lambda: node.state("r1") == ("Up", ""))


def test_no_index_of_a_port_comes_again_because_the_run_directory_was_removed(node: DaemonNode) -> None:
    node.apply(*pair())
    _, r2 = node.up("r1", "r2")
    before = {info.ifindex for info in node.ports().values()}
    shutil.rmtree(node.directory / "run")
    assert eventually(node.socket.exists, within=ALIVE_S + 2)
    assert node.delete(r2).done
    node.kill()
    node.start()

    node.up("r2")

    assert len(before | {info.ifindex for info in node.ports().values()}) == 3


def test_a_port_that_somebody_sets_up_or_down_is_put_right_at_once(node: DaemonNode) -> None:
    node.apply(*pair())
    (r1,) = node.up("r1")
    (port,) = node.ports()
    node.run(f"ip link set {port} up")
    assert eventually(lambda: not r1.carrier(), within=2)
    assert not node.ports()[port].up

    node.up("r2")
    assert eventually(r1.carrier)
    node.run(f"ip link set {port} down")
    assert eventually(lambda: node.ports()[port].up and r1.carrier(), within=2)
    assert "set down by somebody else" in node.log()


def test_a_port_that_somebody_had_in_a_bridge_is_not_gone(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)
    node.run("ip link add br9 type bridge")
    for port in node.ports():
        node.run(f"ip link set {port} master br9")
    node.run("ip link del br9")

    for up in ("down", "up"):
        r2.run("ip", "link", "set", "eth1", up)
        assert eventually(lambda up=up: r1.carrier() is (up == "up"))
    assert "deleted by somebody else" not in node.log()


def test_a_pass_gives_a_port_its_mtu_and_its_honesty_back(node: DaemonNode) -> None:
    node.stop()
    node.start(MESHNET_PASS_SECONDS=A_PASS)
    node.apply(*pair())
    r1, _ = node.up("r1", "r2")
    assert eventually(r1.carrier)
    with Ethtool() as ethtool:
        for port in node.ports():
            node.run(f"ip link set {port} mtu 1280")
            ethtool.set_tx_checksum(port, on=True)

        assert eventually(lambda: {port.mtu for port in node.ports().values()} == {1500})
        assert eventually(lambda: not any(map(ethtool.tx_checksum, node.ports())))


def test_an_edit_does_not_reach_another_interface_than_the_links_own(node: DaemonNode) -> None:
    links = [link(i, f"eth{i}", f"r2:eth{i}", mtu=1500) for i in (1, 2)]
    node.apply(topology("r1", *links), topology("r2", *(link(i, f"eth{i}", f"r1:eth{i}") for i in (1, 2))))
    r1, _ = node.up("r1", "r2")
    inner = anonymous_netns()
    try:
        with entered(inner):
            node.run("ip link add taken type bridge")  # so that eth1 comes to have there the index that eth2 has here
        move(r1, inner)
        index = r1.links()["eth2"].ifindex
        with entered(inner):
            assert f"{index}: eth1" in node.run("ip link")
        node.apply(topology("r1", links[0] | {"mtu": 1400, "local_ip": "10.0.0.1/24"}, links[1]))

        assert eventually(lambda: node.state("r1", "eth1")[1] == "RestartPod")
        assert r1.links()["eth2"].mtu == 1500
        assert r1.addresses("eth2") == []
    finally:
        os.close(inner)


def test_an_edit_is_applied_when_the_interface_is_back_in_the_pod(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    inner = anonymous_netns()
    try:
        move(r1, inner)
        node.apply(*pair(mtu=1400))
        assert eventually(lambda: node.state("r1")[1] == "RestartPod")
        with entered(inner):
            node.run(f"ip link set eth1 netns {r1.netns}")
        r1.run("ip", "link", "set", "eth1", "up")

        assert eventually(lambda: node.state("r1") == ("Up", ""))  # long before a pass
        assert r1.links()["eth1"].mtu == 1400
        assert eventually(lambda: r1.carrier() and r2.carrier())
    finally:
        os.close(inner)


def test_an_end_without_a_namespace_number_ends_no_daemon(node: DaemonNode, node_ns: int) -> None:
    """So is one of a namespace that is ending; here it is the node's own, in which the test is."""
    node.stop()
    node.start(MESHNET_PASS_SECONDS=A_PASS)
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r2.carrier)

    move(r1, node_ns)
    assert eventually(lambda: not r2.carrier())
    time.sleep(1.0)
    assert node.ready()
    node.kill()
    node.start()
    time.sleep(1.0)
    assert node.ready()


def test_who_makes_links_all_the_time_holds_nothing_up(node: DaemonNode, tmp_path: Path) -> None:
    """A list of a node's links then never is as it was at one moment."""
    node.apply(
        topology("r1", *(link(i, f"eth{i}", f"r2:eth{i}") for i in range(1, 400))),
        topology("r3", link(1, "eth1", "r4:eth1")),
    )
    r1, r3 = node.up("r1", "r3")
    batch = tmp_path / "batch"
    batch.write_text("".join(f"link add v{i} type veth peer name w{i}\n" for i in range(8_000)))
    with subprocess.Popen(["ip", "-batch", str(batch)]) as others:
        try:
            for _ in range(3):
                assert node.delete(r3).done
                assert node.add(r3).done
            node.kill()
            node.start()
        finally:
            others.kill()
    assert eventually(lambda: node.state("r1", "eth399")[1] == "PeerMissing")
    assert len(r1.links()) == 399


def test_many_links_of_a_running_pod_are_edited_in_a_moment(node: DaemonNode) -> None:
    def both(step: int, mtu: int) -> list[dict[str, object]]:
        numbers = range(1, 301, step)
        return [
            topology(here, *(link(i, f"eth{i}", f"{there}:eth{i}", mtu=mtu) for i in numbers))
            for here, there in (("r1", "r2"), ("r2", "r1"))
        ]

    node.apply(*both(1, 1500))
    pods = node.up("r1", "r2")
    for step, mtu in ((1, 1400), (3, 1400), (1, 1400)):
        node.apply(*both(step, mtu))
        wanted = len(range(1, 301, step)) * [(True, mtu)]
        for pod in pods:
            # one after the other, each at 20 ms or with a file to write, they would take many times that
            assert eventually(lambda pod=pod, wanted=wanted: interfaces(pod) == wanted, within=5.0)


def interfaces(pod: PodBox) -> list[tuple[bool, int]]:
    """Carrier and MTU of each; none while they change so fast that they cannot be listed."""
    with contextlib.suppress(KernelError):
        return [(info.carrier, info.mtu) for info in pod.links().values()]
    return []


def test_what_was_edited_a_moment_before_the_daemon_was_killed_is_known_to_the_next(node: DaemonNode) -> None:
    def at(address: str) -> dict[str, object]:
        return topology("r1", link(1, "eth1", "r2:eth1", local_ip=address))

    node.apply(at("10.0.0.1/24"))
    (r1,) = node.up("r1")
    node.apply(at("10.0.0.2/24"))
    assert eventually(lambda: r1.addresses() == ["10.0.0.2/24"])
    node.kill()
    node.apply(at("10.0.0.3/24"))
    node.start()

    assert eventually(lambda: r1.addresses() == ["10.0.0.3/24"])
