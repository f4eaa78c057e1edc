"""What `meshnet wait` says when nobody answers; the rest is in test_objects."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from meshnet.cli import exitcodes
from meshnet.cli.links import End, ends
from meshnet.cli.targets.node import Node
from meshnet.cli.wait import Waiting
from meshnet.model.resource import Kind, Resource
from tests.cli.objects import link, topology
from tests.cni.daemon import Daemon
from tests.stores.kubernetes.server import access_to

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Machine


def test_a_store_that_says_nothing_is_unreachable(machine: Machine, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = access_to(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path).kubeconfig
        ran = machine.run("wait", "--for", "up", "--timeout", "0.3", "--kubeconfig", config)
    assert ran.code == exitcodes.UNREACHABLE
    assert ran.err == "error: cluster x: no answer within 0.3 s\n"


def test_what_the_store_says_is_not_enough_while_a_daemon_is_asked(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, peer in (("r1", "r2"), ("r2", "r1")):
        machine.apply(topology(name, link(1, peer)))
        machine.write_status(name, link(1, peer), "Up")
    monkeypatch.setenv("MESHNET_SOCKET", str(tmp_path / "hangs"))

    def hang(daemon: Daemon, conn: socket.socket, _number: int) -> None:
        daemon.receive(conn)
        conn.recv(1)  # until the command has given up

    with Daemon(tmp_path / "hangs", hang):
        ran = machine.run("wait", "--for", "up", "--timeout", "0.3")
    # others may have, and are not what is waited for
    told = "error: not up after 0.3 s: not every daemon has answered yet\n"
    assert (ran.code, ran.err) == (exitcodes.FAILED, told)


def test_of_many_links_the_two_ends_are_found_in_one_look(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[End] = []
    identity = End.link.fget  # type: ignore[attr-defined]
    monkeypatch.setattr(End, "link", property(lambda end: looked.append(end) or identity(end)))
    pods = {"r1": "r2", "r2": "r1"}
    declared = {pod: [link(uid, peer, f"e{uid}", f"e{uid}") for uid in range(100)] for pod, peer in pods.items()}
    every = ends([Resource(Kind.TOPOLOGY, topology(pod, *entries)) for pod, entries in declared.items()])
    missing = Waiting((), "default", "Up", Node("memory:", None), progress=False)._missing(every)
    assert len(missing) == 100
    assert missing[7] == "default/r1:e7: Pending (PodNotRunning, pod default/r1 runs on no node)"
    assert len(looked) <= 3 * len(every)


def test_of_many_links_that_are_late_the_first_are_told_and_the_others_counted(machine: Machine) -> None:
    machine.apply(topology("r1", *(link(uid, "r2", f"e{uid}", f"e{uid}") for uid in range(25))))

    ran = machine.run("wait", "--for", "up", "--timeout", "0.3")

    assert (ran.code, ran.err.count("default/r1:e")) == (exitcodes.FAILED, 20)
    assert ran.err.endswith("; and 5 more (meshnet get links)\n")


@pytest.mark.parametrize("place", ["", "r1:eth1", "r2:eth1"])
def test_why_a_link_is_not_up_is_told_by_its_worse_end(machine: Machine, place: str) -> None:
    machine.apply(topology("r1", link(1, "r2")), topology("r2", link(1, "r1")))
    machine.write_status("r1", link(1, "r2"), "Pending", reason="PeerNotRunning", message="pod r2 is not running yet")
    machine.write_status("r2", link(1, "r1"), "Failed", reason="NameTaken", message="r2 has an eth1 of its own")
    ran = machine.run("wait", "--for", "up", "--timeout", "0.3", *([place] if place else []))
    told = f"default/{place or 'r1:eth1'}: Failed (NameTaken, r2 has an eth1 of its own)"
    assert (ran.code, ran.err) == (exitcodes.FAILED, f"error: not up after 0.3 s: {told}\n")


@pytest.mark.parametrize("wanted", ["up", "down"])
def test_a_link_whose_other_end_nobody_declares_any_more_is_neither_up_nor_down(machine: Machine, wanted: str) -> None:
    """Its daemon has written what it was, and tells of the deletion a moment later."""
    machine.apply(topology("r1", link(1, "r2")))
    machine.write_status("r1", link(1, "r2"), wanted.capitalize())

    ran = machine.run("wait", "--for", wanted, "--timeout", "0.3", "r1:eth1")

    told = "default/r1:eth1: Pending (PeerMissing, no Topology declares default/r2:eth1)"
    assert (ran.code, ran.err) == (exitcodes.FAILED, f"error: not {wanted} after 0.3 s: {told}\n")


def test_a_namespace_without_topologies_is_not_up(machine: Machine) -> None:
    machine.apply(topology("r1"))

    mistyped = machine.run("wait", "--for", "up", "-n", "defualt")
    without_links = machine.run("wait", "--for", "up")
    quietly = machine.run("wait", "--for", "up", "--quiet")

    assert mistyped.code == exitcodes.FAILED
    assert mistyped.err.startswith("error: namespace defualt of ")
    assert "has no Topology to wait for" in mistyped.err
    assert (without_links.code, without_links.err) == (exitcodes.DONE, "no links in namespace default\n")
    assert (quietly.code, quietly.err) == (exitcodes.DONE, "")


def test_a_daemon_that_was_not_reached_is_named_beside_what_is_late(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.apply(topology("r1", link(1, "r2")))
    monkeypatch.setenv("MESHNET_SOCKET", str(tmp_path / "nosuch"))

    ran = machine.run("wait", "--for", "up", "--timeout", "0.5")

    assert ran.code == exitcodes.FAILED
    assert ran.err.startswith("error: not up after 0.5 s: default/r1:eth1: Pending (PodNotRunning, ")
    assert "; no daemon reached: " in ran.err
    assert str(tmp_path / "nosuch") in ran.err
