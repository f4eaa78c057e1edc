from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from meshnet.cli.checks.finding import Outcome
from meshnet.cli.checks.machine import (
    check_configuration,
    check_machine,
    check_reference_plugins,
    is_static,
    missing_capabilities,
)
from meshnet.cli.checks.node import check_node
from meshnet.cli.targets.node import Node
from meshnet.cli.throwaway import in_throwaway
from meshnet.errors import MeshnetError
from meshnet.netlink import Netlink, links
from tests.cni.daemon import Daemon, answer
from tests.nobody import closed

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Machine


def test_missing_capabilities_are_named() -> None:
    assert missing_capabilities("CapInh:\t0\nCapEff:\t000001ffffffffff\n") == []
    assert missing_capabilities(f"CapEff:\t{1 << 12 | 1 << 13 | 1 << 21:016x}\n") == ["CAP_NET_BROADCAST"]


@pytest.mark.parametrize(("mapped", "expected"), [(True, Outcome.OK), (False, Outcome.WARN), (None, Outcome.FAIL)])
def test_a_user_hears_whether_pods_of_its_labs_have_more_than_one_uid(
    mapped: bool | None, expected: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    def maps_ranges() -> bool:
        if mapped is None:
            raise MeshnetError("newgidmap: not allowed")
        return mapped

    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr("meshnet.cli.checks.machine.maps_ranges", maps_ranges)
    (rights,) = (found for found in check_machine() if found.about == "rights")
    assert (rights.outcome, "one uid only" in rights.advice) == (expected, expected is Outcome.WARN)


@pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc")
def test_a_static_program_is_told_from_a_dynamic_one(tmp_path: Path) -> None:
    source = tmp_path / "x.c"
    source.write_text("int main(void) { return 0; }\n")
    for name, flag in (("dynamic", "-pie"), ("static", "-static")):
        subprocess.run(["gcc", flag, "-o", tmp_path / name, source], check=True)
    assert is_static(tmp_path / "static")
    assert not is_static(tmp_path / "dynamic")
    assert not is_static(source)


def test_reference_plugins_are_there_when_a_lab_finds_them(tmp_path: Path) -> None:
    directories = (tmp_path / "a", tmp_path / "b")
    for directory in directories:
        directory.mkdir()
    (tmp_path / "a/bridge").touch()
    missing = check_reference_plugins(directories)
    assert (missing.outcome, "host-local" in missing.told) == (Outcome.WARN, True)
    (tmp_path / "b/host-local").touch()
    assert check_reference_plugins(directories).outcome is Outcome.OK
    with closed(tmp_path / "a"):
        hidden = check_reference_plugins(directories)
        assert hidden.outcome is Outcome.WARN
        assert f"{tmp_path}/a (Permission denied), {tmp_path}/b" in hidden.told
        (tmp_path / "b/bridge").touch()
        assert check_reference_plugins(directories).outcome is Outcome.OK


def test_network_configurations_are_told_or_why_they_cannot_be(tmp_path: Path) -> None:
    directory = tmp_path / "cni" / "net.d"
    assert check_configuration(directory).told == "not there: this is no Kubernetes node"
    directory.mkdir(parents=True)
    assert (check_configuration(directory).outcome, check_configuration(directory).told) == (
        Outcome.WARN,
        "no network list",
    )
    (directory / "cni.lock").touch()
    assert check_configuration(directory).told == "no network list"
    (directory / "10-x.conflist").touch()
    assert check_configuration(directory).told.startswith("10-x.conflist; ")
    with closed(directory.parent):
        found = check_configuration(directory)
    assert (found.outcome, found.told, found.advice) == (
        Outcome.WARN,
        "cannot be read: Permission denied",
        "ask as root",
    )


@pytest.mark.parametrize("text", [None, "contexts: [", "contexts: [5]"])
def test_a_wrong_kubeconfig_is_a_finding(
    text: str | None, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MESHNET_STORE")
    monkeypatch.setattr("meshnet.cli.checks.local.check_local", list)
    usual = tmp_path / ".kube/config"  # in the home of this test
    usual.parent.mkdir()
    usual.write_text(text or "")
    with closed(usual.parent) if text is None else contextlib.nullcontext():
        ran, asked = machine.run("doctor", "-o", "json"), machine.run("get", "links")

    (found,) = json.loads(ran.out)
    assert (ran.code, found["about"], found["outcome"]) == (0, "target", "warn")
    assert ".kube/config" in found["told"]
    assert asked.code != 0
    assert asked.err.startswith("error: ")
    assert found["told"] == f"not asked: {asked.err.removeprefix('error: ').rstrip()}"


def test_a_daemon_that_answers_but_hangs_is_found(tmp_path: Path) -> None:
    socket, alive = tmp_path / "meshnetd.sock", tmp_path / "alive"
    alive.touch()
    target = Node(f"sqlite:{tmp_path}/store.db", socket)
    with Daemon(socket, answer(json.dumps({"node": "n1", "drivers": []}).encode())):
        assert {finding.outcome for finding in check_node(target, [socket])} == {Outcome.OK}
        os.utime(alive, (0, 0))
        assert [one.about for one in check_node(target, [socket]) if one.outcome is Outcome.FAIL] == ["alive"]
    assert [one.about for one in check_node(target, [socket]) if one.outcome is Outcome.FAIL] == ["daemon"]


def test_what_a_daemon_says_of_its_drivers_and_its_store_counts(tmp_path: Path) -> None:
    socket = tmp_path / "meshnetd.sock"
    (tmp_path / "alive").touch()
    usable = {"name": "veth", "version": "1", "distribution": "meshnet-veth", "state": "usable", "reason": ""}
    wrong = {**usable, "name": "vxlan", "state": "unusable", "reason": "MESHNET_VXLAN_PORT: 'abc': a UDP port"}
    told = {"node": "n1", "synced": False, "drivers": [usable, wrong]}
    with Daemon(socket, answer(json.dumps(told).encode())):
        found = check_node(Node(f"sqlite:{tmp_path}/store.db", socket), [socket])
    assert [(one.about, one.outcome, one.told) for one in found if one.outcome is not Outcome.OK] == [
        ("daemon", Outcome.FAIL, f"{socket}: answers; node n1, synced False"),
        ("vxlan 1", Outcome.WARN, "unusable on n1: MESHNET_VXLAN_PORT: 'abc': a UDP port"),
    ]


@pytest.mark.kernel
def test_what_is_made_in_a_throwaway_namespace_is_gone() -> None:
    def names() -> list[str]:
        with Netlink.open() as netlink:
            return [links.parse_link(payload).name for payload in netlink.dump(links.dump_links())]

    before = names()
    assert in_throwaway(names) == ["lo"]
    assert names() == before


@pytest.mark.kernel
def test_a_throwaway_that_fails_or_hangs_tells_so() -> None:
    def fails() -> None:
        raise ValueError("on purpose")

    def hangs() -> None:
        time.sleep(60)

    with pytest.raises(MeshnetError, match="ValueError: on purpose"):
        in_throwaway(fails)
    with pytest.raises(MeshnetError, match="no answer within the time"):
        in_throwaway(hangs, timeout_s=0.2)


@pytest.mark.kernel
def test_doctor_finds_this_kernel_fit_and_every_driver(machine: Machine) -> None:
    findings = json.loads(machine.run("doctor", "-o", "json").out)
    by_about = {finding["about"]: finding["outcome"] for finding in findings}
    assert by_about["veth"] == by_about["u32 with mirred"] == by_about["NETLINK_LISTEN_ALL_NSID"] == "ok"
    assert {finding["area"] for finding in findings} == {"machine", "plugin", "kernel", "drivers", "node"}
    assert all(finding["advice"] for finding in findings if finding["outcome"] != "ok")


@pytest.mark.parametrize(
    ("problem", "remarks", "outcome"), [("", [], Outcome.OK), ("", ["note"], Outcome.WARN), ("disk", [], Outcome.FAIL)]
)
def test_what_a_daemon_says_of_the_installed_plugin(
    tmp_path: Path, problem: str, remarks: list[str], outcome: Outcome
) -> None:
    where = {"bin_dir": "/opt/cni/bin", "conf_dir": "/etc/cni/net.d", "source": "10-a.conflist"}
    told = {**where, "problem": problem, "remarks": remarks}
    socket = tmp_path / "meshnetd.sock"
    with Daemon(socket, answer(json.dumps({"node": "n1", "drivers": [], "cni": told}).encode())):
        findings = check_node(Node("", socket), [socket])
    (found,) = [finding for finding in findings if finding.about == "installation"]
    assert found.outcome is outcome
    assert problem in found.told
    assert bool(found.advice) == (outcome is not Outcome.OK)


@pytest.mark.kernel
def test_drivers_are_listed_as_usable(machine: Machine) -> None:
    rows = {row["name"]: row for row in json.loads(machine.run("drivers", "-o", "json").out)}
    assert rows["veth"]["state"] == "usable"
    assert rows["veth"]["claims"] == ["same node"]
    assert rows["macvlan"]["attachment"] == "direct"
