"""apply, delete, check, get, link and wait on a real store."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.cli import exitcodes
from meshnet.cli import link as cli_link
from meshnet.errors import Conflict
from meshnet.model.resource import Kind
from meshnet.stores.base import Event
from tests.cli.objects import link, topology
from tests.cni.daemon import Daemon, answer

if TYPE_CHECKING:
    from pathlib import Path

    from meshnet.cli.links import End
    from meshnet.stores.base import Store
    from tests.cli.conftest import Machine

A, B = link(1, "r2"), link(1, "r1")


@pytest.fixture
def files(tmp_path: Path) -> str:
    (tmp_path / "topologies").mkdir()
    for name, entry in (("r1", A), ("r2", B)):
        (tmp_path / "topologies" / f"{name}.json").write_text(json.dumps(topology(name, entry)))
    return str(tmp_path / "topologies")


@pytest.fixture
def applied(machine: Machine, files: str) -> Machine:
    assert machine.run("apply", "-f", files).code == 0
    return machine


def spec_links(machine: Machine, name: str) -> Any:
    async def read(store: Store) -> Any:
        return (await store.get(Kind.TOPOLOGY, "default", name)).spec["links"]

    return machine.store(read)


def test_apply_says_what_it_did(machine: Machine, files: str) -> None:
    assert machine.run("apply", "-f", files).out == "topology default/r1 created\ntopology default/r2 created\n"
    assert machine.run("apply", "-f", files).out == "topology default/r1 unchanged\ntopology default/r2 unchanged\n"
    assert machine.run("apply", "--quiet", "-f", files).out == ""
    twice = machine.run("apply", "-f", files, "-f", files)
    assert twice.code == exitcodes.FAILED
    assert "'r1': is declared already" in twice.err


def test_apply_changes_nothing_when_one_file_is_wrong(machine: Machine, files: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(topology("r3", link(1, "r4", "eth0"))))
    ran = machine.run("apply", "-f", files, str(bad))
    assert ran.code == exitcodes.FAILED
    assert "spec.links[0].local_intf" in ran.err
    assert json.loads(machine.run("get", "topologies", "-o", "json").out) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"metadata": {"name": "r3", "labels": {"a": 1}}}, "metadata.labels.a: 1: a text"),
        ({"metadata": {"name": "r3", "finalizers": "x"}}, "metadata.finalizers: 'x': a list of texts"),
        ({"metadata": {"name": "r3", "annotations": [1]}}, "metadata.annotations: [1]: an object of texts"),
        ({"apiVersion": None}, "apiVersion: is required"),
    ],
)
def test_apply_finds_out_what_the_store_would_refuse_before_it_writes(
    machine: Machine, files: str, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps({**topology("r3", link(1, "r4")), **changes}))
    for command in (("apply", "-f", files, str(bad)), ("check", str(bad))):
        ran = machine.run(*command)
        assert ran.code == exitcodes.FAILED
        assert f"bad.json:1: error: Topology default/r3: {said}" in ran.err + ran.out
    assert json.loads(machine.run("get", "topologies", "-o", "json").out) == []


@pytest.mark.parametrize("command", [("apply", "-f"), ("delete", "-f"), ("check",)])
def test_a_name_that_is_empty_is_no_directory(
    machine: Machine, files: str, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """A variable that is not set would mean every file here."""
    machine.run("apply", "-f", files)
    monkeypatch.chdir(files)
    ran = machine.run(*command, "")
    assert (ran.code, "'' is no file" in ran.err) == (exitcodes.WRONG_USE, True)
    assert len(json.loads(machine.run("get", "topologies", "-o", "json").out)) == 2


def test_a_daemon_that_is_named_and_away_is_an_error_that_says_so(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHNET_SOCKET", str(tmp_path / "away"))
    for view in ("nodes", "sandboxes"):
        ran = machine.run("get", view)
        assert ran.code == exitcodes.UNREACHABLE
        assert f"daemon at {tmp_path}/away: No such file or directory" in ran.err


def test_who_stops_reading_stops_nothing(machine: Machine, files: str) -> None:
    for verb, left in (("apply", 2), ("delete", 0)):
        reader, writer = os.pipe()
        os.close(reader)
        command = [sys.executable, "-u", "-m", "meshnet", verb, "-f", files]
        env = {**os.environ, "MESHNET_STORE": machine.store_url}
        subprocess.run(command, env=env, stdout=writer, check=False, timeout=30)
        os.close(writer)
        assert len(json.loads(machine.run("get", "topologies", "-o", "json").out)) == left


def test_delete_by_name_and_by_file(applied: Machine, files: str) -> None:
    ran = applied.run("delete", "topology", "r1", "r1")
    assert (ran.code, ran.out) == (exitcodes.DONE, "topology default/r1 deleted\n")
    ran = applied.run("delete", "-f", files)
    assert (ran.code, ran.out) == (exitcodes.FAILED, "topology default/r2 deleted\n")
    assert "default/r1: not there" in ran.err


@pytest.mark.parametrize("arguments", [[], ["topology"], ["pod", "r1"], ["topology", "r1", "-f", "x.yml"]])
def test_delete_wants_one_way_to_say_what(machine: Machine, arguments: list[str]) -> None:
    assert machine.run("delete", *arguments).code == exitcodes.WRONG_USE


@pytest.mark.parametrize("name", ["", ".", "..", "r1/status", "R1"])
def test_delete_by_a_name_that_none_can_have(applied: Machine, name: str) -> None:
    """To a cluster some of these would be every Topology of the namespace."""
    ran = applied.run("delete", "topology", "r1", name)

    assert (ran.code, ran.out) == (exitcodes.WRONG_USE, "")
    assert f"delete topology {name!r}: must be a pod name" in ran.err
    assert len(json.loads(applied.run("get", "topologies", "-o", "json").out)) == 2


def test_a_namespace_is_a_name(applied: Machine) -> None:
    ran = applied.run("get", "topologies", "-n", "..")
    assert ran.code == exitcodes.WRONG_USE
    assert "'..': must be a namespace" in ran.err
    assert applied.run("get", "topologies", "-n", "").out == applied.run("get", "topologies").out


def test_check_names_file_and_line_and_fails_on_errors(machine: Machine, tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    lines = ["apiVersion: networkop.co.uk/v1beta1", "kind: Topology", "metadata: {name: r1}", "spec:", "  links:"]
    lines += ["  - uid: 1", "    peer_pod: r2", "    local_intf: eth0", "    peer_intf: eth1"]
    bad.write_text("\n".join(lines))
    ran = machine.run("check", str(bad))
    assert ran.code == exitcodes.FAILED
    assert f"{bad}:8: error: " in ran.out
    assert "spec.links[0].local_intf" in ran.out
    (found,) = (row for row in json.loads(machine.run("check", str(bad), "-o", "json").out) if row["line"] == 8)
    assert (found["severity"], found["path"]) == ("error", "spec.links[0].local_intf")


def test_check_of_good_files_needs_no_store(machine: Machine, files: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESHNET_STORE")
    ran = machine.run("check", files)
    assert (ran.code, ran.out) == (exitcodes.DONE, "")


def test_check_names_the_line_of_bad_yaml(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "bad.yml").write_text("a: [1,\n")
    ran = machine.run("check", str(tmp_path / "bad.yml"))
    assert ran.code == exitcodes.FAILED
    assert f"{tmp_path}/bad.yml:2: error: " in ran.out


def test_unplugging_sets_one_end_and_plugging_clears_both(applied: Machine) -> None:
    assert applied.run("link", "down", "r1:eth1").out == "default/r1:eth1: unplugged\n"
    assert applied.run("link", "down", "default/r2:eth1").code == 0
    assert [spec_links(applied, name)[0].get("down") for name in ("r1", "r2")] == [True, True]
    assert applied.run("link", "down", "r1:eth1").out == "default/r1:eth1: link is down already\n"

    assert applied.run("link", "up", "r2:eth1").code == 0
    assert [spec_links(applied, name) for name in ("r1", "r2")] == [[A], [B]]


def test_an_end_that_is_plugged_in_is_told_also_when_the_other_one_is_not(
    applied: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("r1:eth1", "r2:eth1"):
        applied.run("link", "down", place)
    set_down = cli_link.set_down

    async def only_r1(store: Store, end: End, *, down: bool) -> str:
        if end.pod != "r1":
            raise Conflict(f"Topology default/{end.pod}: others changed it")
        return await set_down(store, end, down=down)

    monkeypatch.setattr(cli_link, "set_down", only_r1)
    ran = applied.run("link", "up", "r1:eth1")

    assert (ran.code, ran.out) == (exitcodes.FAILED, "default/r1:eth1: plugged in\n")
    assert ran.err == "error: Topology default/r2: others changed it\n"


def test_a_link_that_nobody_declares_cannot_be_unplugged(applied: Machine) -> None:
    ran = applied.run("link", "down", "r1:eth7")
    assert ran.code == exitcodes.FAILED
    assert "default/r1:eth7" in ran.err


def test_links_join_the_store_and_the_daemon(applied: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, entry in (("r1", A), ("r2", B)):
        applied.write_status(name, entry, "Up")
    live = {"namespace": "default", "interface": "eth1", "uid": 1, "carrier": True, "mtu": 1500}
    live |= {"addresses": ["10.0.0.1/24"], "counters": {"rx_packets": 3}}
    reply = {"node": "n1", "links": [{**live, "pod": "r1"}, {**live, "pod": "r2"}]}
    monkeypatch.setenv("MESHNET_SOCKET", str(tmp_path / "socket"))
    with Daemon(tmp_path / "socket", answer(json.dumps(reply).encode())):
        (found,) = json.loads(applied.run("get", "links", "-o", "json").out)
        table = applied.run("get", "links").out.splitlines()
        assert json.loads(applied.run("get", "links", "r2", "-o", "json").out) == [found]
        assert json.loads(applied.run("get", "link", "r2:eth1", "-o", "json").out) == [found]

    assert found["state"] == "Up"
    assert [end["counters"] for end in found["endpoints"]] == [{"rx_packets": 3}] * 2
    assert table[1].split()[:7] == ["1", "r1:eth1", "r2:eth1", "veth", "Up", "yes", "1500"]

    (found,) = json.loads(applied.run("get", "links", "-o", "json").out)
    assert [end["stale"] for end in found["endpoints"]] == [True, True]


def test_get_shows_topologies_of_one_namespace_or_all(applied: Machine, files: str) -> None:
    applied.write_status("r1", A, "Up")
    rows = applied.run("get", "topologies").out.splitlines()
    assert rows[1].split()[:4] == ["default", "r1", "n1", "1/1"]
    assert json.loads(applied.run("get", "topologies", "-n", "other", "-o", "json").out) == []
    assert len(json.loads(applied.run("get", "topologies", "-A", "-o", "json").out)) == 2
    assert "name: r1" in applied.run("get", "topology", "r1", "-o", "yaml").out
    for view in ("topology", "links", "nodes", "events"):
        for name in ("r9", ""):
            ran = applied.run("get", view, name)
            assert (ran.code, f"there is no '{name}'" in ran.err) == (exitcodes.FAILED, True)


def test_get_of_what_daemons_hold(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = {"namespace": "default", "pod": "r1", "container_id": "c1", "network": "lab", "netns": "/run/netns/x"}
    reply = {"node": "n1", "sandboxes": [{**sandbox, "epoch": 2, "ports": []}], "up": 4, "drivers": 5}
    monkeypatch.setenv("MESHNET_SOCKET", str(tmp_path / "socket"))
    with Daemon(tmp_path / "socket", answer(json.dumps(reply).encode())):
        (row,) = json.loads(machine.run("get", "sandboxes", "-o", "json").out)
        assert machine.run("get", "sandboxes", "r1").out.splitlines()[1].split()[:5] == [
            "default",
            "r1",
            "n1",
            "c1",
            "2",
        ]
        assert machine.run("get", "sandboxes", "r2").code == exitcodes.FAILED
        (node,) = json.loads(machine.run("get", "nodes", "-o", "json").out)
        assert machine.run("get", "nodes").out.splitlines()[1].endswith("4 up")
    assert row == {"node": "n1", **sandbox, "epoch": 2, "ports": []}
    # what else a later version may count is not taken for the record's
    assert (node["name"], node["reachable"], node["up"], "drivers" in node) == ("n1", True, 4, False)


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_what_get_shows_can_be_applied(applied: Machine, tmp_path: Path, form: str) -> None:
    saved = tmp_path / f"saved.{form}"
    saved.write_text(applied.run("get", "topologies", "-o", form).out)

    assert (
        applied.run("apply", "-f", str(saved)).out == "topology default/r1 unchanged\ntopology default/r2 unchanged\n"
    )
    assert applied.run("delete", "-f", str(saved)).code == 0
    assert applied.run("apply", "-f", str(saved)).out == "topology default/r1 created\ntopology default/r2 created\n"


def test_wait_ends_when_both_ends_are_as_wanted(applied: Machine) -> None:
    applied.write_status("r1", A, "Up")

    def later() -> None:
        asyncio.run(asyncio.sleep(0.2))
        applied.write_status("r2", B, "Up")

    thread = threading.Thread(target=later)
    thread.start()
    ran = applied.run("wait", "--for", "up", "r2:eth1", "--timeout", "30")
    thread.join(30)
    assert ran.code == exitcodes.DONE, ran.err


def test_wait_says_in_the_end_what_is_missing(applied: Machine) -> None:
    applied.write_status("r1", A, "Failed", reason="ParentMissing", message="no eth9")
    ran = applied.run("wait", "--for", "up", "--timeout", "0.2")
    assert ran.code == exitcodes.FAILED
    assert "not up after 0.2 s: default/r1:eth1: Failed (ParentMissing, no eth9)" in ran.err


def test_wait_believes_no_status_of_an_older_spec(applied: Machine) -> None:
    for name, entry in (("r1", A), ("r2", B)):
        applied.write_status(name, entry, "Up")
    assert applied.run("wait", "--for", "up", "r1:eth1", "--timeout", "5").code == exitcodes.DONE
    applied.run("link", "down", "r1:eth1")
    ran = applied.run("wait", "--for", "up", "r1:eth1", "--timeout", "0.2")
    assert ran.code == exitcodes.FAILED
    assert "node n1 has not acted on the change of r1 yet" in ran.err


@pytest.mark.parametrize("text", ["0", "-1", "soon", "inf", "nan"])
def test_a_timeout_is_a_number_of_seconds(machine: Machine, text: str) -> None:
    assert machine.run("wait", "--for", "up", f"--timeout={text}").code == exitcodes.WRONG_USE


def test_events_are_shown(applied: Machine) -> None:
    async def record(store: Store) -> None:
        await store.record(Event("Topology default/r1", "Warning", "ParentMissing", "no eth9", "meshnetd n1"))

    applied.store(record)
    (event,) = json.loads(applied.run("get", "events", "r1", "-o", "json").out)
    assert (event["reason"], event["about"]) == ("ParentMissing", "Topology default/r1")
    assert applied.run("get", "events", "-n", "other").out == ""
