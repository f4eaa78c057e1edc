"""What a user is told: which file and line, which namespace, what was not reached, what would be right."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.cli import exitcodes
from meshnet.cli.links import ends, join
from meshnet.errors import MeshnetError
from meshnet.model.resource import Kind, Resource
from tests.cli.objects import link, topology

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Machine

WRONG = """\
apiVersion: networkop.co.uk/v1beta1
kind: Topology
metadata: {name: r1}
spec:
  links:
  - uid: 1
    peer_pod: r2
    local_intf: eth1
    peer_intf: eth1
    local_ip: 10.0.0.1
  - peer_pod: r2
    local_intf: eth2
    peer_intf: eth2
"""


@pytest.fixture
def two_namespaces(machine: Machine) -> Machine:
    machine.apply(*(topology("r1", link(1, "r2"), namespace=namespace) for namespace in ("x", "y")))
    return machine


def test_what_is_wrong_in_files_to_apply_is_told_line_by_line(machine: Machine, tmp_path: Path) -> None:
    path = tmp_path / "r1.yml"
    path.write_text(WRONG)

    ran = machine.run("apply", "-f", str(path))

    first, second, last = ran.err.splitlines()
    assert ran.code == exitcodes.FAILED
    assert first.startswith(f"{path}:10: error: Topology default/r1: spec.links[0].local_ip: '10.0.0.1': must be")
    assert second == f"{path}:11: error: Topology default/r1: spec.links[1].uid: is required"
    assert last == "error: 2 error(s) in the files: nothing was done"


def test_links_of_all_namespaces_are_told_apart(two_namespaces: Machine) -> None:
    title, *rows = two_namespaces.run("get", "links", "-A").out.splitlines()
    assert title.split()[0] == "NAMESPACE"
    assert [row.split()[0] for row in rows] == ["x", "y"]


def test_what_is_in_other_namespaces_is_pointed_at(two_namespaces: Machine) -> None:
    assert two_namespaces.run("get", "links").err == "no links in namespace default (-A: in all)\n"
    assert two_namespaces.run("get", "events", "-A").err == "no events\n"


@pytest.mark.parametrize("what", ["sandboxes", "drivers"])
def test_what_only_daemons_know_is_not_none_when_none_is_reached(
    machine: Machine, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHNET_SOCKET", str(tmp_path / "nobody"))
    ran = machine.run("get", what)
    assert ran.code == exitcodes.UNREACHABLE
    assert "no daemon answers" in ran.err


def test_a_deletion_tells_of_others_only_when_there_are_some(two_namespaces: Machine) -> None:
    assert two_namespaces.run("delete", "-n", "x", "topology", "r9").err == "error: topology x/r9: not there\n"
    ran = two_namespaces.run("delete", "-n", "x", "topology", "r9", "r1")
    assert ran.err == "error: topology x/r9: not there; the others are deleted\n"


def test_links_are_in_the_order_of_their_numbers() -> None:
    hub = topology("hub", *(link(uid, f"leaf{uid}", f"eth{uid}") for uid in (10, 9, 1)))
    found = join(ends([Resource(Kind.TOPOLOGY, hub)]), {})
    assert [entry["endpoints"][0]["interface"] for entry in found] == ["eth1", "eth9", "eth10"]


@pytest.mark.parametrize(
    ("words", "right"), [(("exec", "r1", "ls", "-l"), "-- ls"), (("exec", "r1", "date"), "-- date")]
)
def test_a_command_without_its_dashes_is_told_where_they_belong(
    machine: Machine, words: tuple[str, ...], right: str
) -> None:
    ran = machine.run("lab", *words)
    assert ran.code == exitcodes.WRONG_USE
    assert f"a command stands after --, as in {right}" in ran.err


def test_the_usage_tells_of_a_command(capsys: pytest.CaptureFixture[str], machine: Machine) -> None:
    with pytest.raises(SystemExit):
        machine.run("lab", "exec", "--help")
    assert "POD|NODE [-- CMD...]" in " ".join(capsys.readouterr().out.split())


def test_no_lab_of_that_name_is_told_by_name(machine: Machine) -> None:
    assert machine.run("lab", "down", "nothing").err == "lab nothing: does not run\n"
    assert machine.run("lab", "down").err == "no lab runs\n"


COMMANDING = """\
apiVersion: v1
kind: "Foo\\e]0;pwn\\a"
metadata: {name: "\\e[31m"}
---
apiVersion: networkop.co.uk/v1beta1
kind: Topology
metadata: {name: NAME}
spec: {links: []}
---
apiVersion: v1
kind: Pod
metadata: {name: NAME}
spec: {containers: [{name: c}]}
"""


@pytest.mark.parametrize(
    ("words", "name"),
    [
        *((words, "r1") for words in ("apply -f", "lab up")),
        *((words, '"\\e[31m"') for words in ("check", "check -o wide", "check -o yaml", "apply -f", "-v lab up")),
    ],
)
def test_what_is_in_files_commands_no_terminal(
    words: str, name: str, machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def started(*_: object) -> None:
        raise MeshnetError("all is told before a lab is started")

    monkeypatch.setattr("meshnet.lab.launch.launch", started)
    path = tmp_path / "files.yml"
    path.write_text(COMMANDING.replace("NAME", name))

    ran = machine.run(*words.split(), str(path))

    assert "[31m" in ran.out + ran.err
    assert all(character.isprintable() or character == "\n" for character in ran.out + ran.err)
