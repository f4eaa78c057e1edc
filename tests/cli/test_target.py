"""Where a command acts, by what was said and what is here."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from meshnet.cli import exitcodes
from meshnet.cli.cluster.target import Cluster
from meshnet.cli.main import main, parse
from meshnet.cli.target import find_target
from meshnet.cli.targets.lab import Lab
from meshnet.cli.targets.node import Node
from meshnet.errors import UsageError
from meshnet.lab.record import LabRecords
from meshnet.stores.kubernetes.store import KubernetesStore
from tests.cli.cluster.configs import kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

    from meshnet.cli.targets.base import Target
    from tests.cli.conftest import Machine


@pytest.fixture
def config(tmp_path: Path) -> str:
    return kubeconfig(tmp_path / "config", "prod", current="prod")


@pytest.fixture
def usual(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube/config", "home", current="home")


@pytest.fixture
def running() -> None:
    LabRecords.of_this_user().create("demo", os.getpid())


def target(*words: str, prog: str = "meshnet") -> Target:
    return find_target(parse([*words, "get", "links"], prog))


def test_what_is_typed_decides(config: str, running: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHNET_STORE", "memory:")
    monkeypatch.setenv("MESHNET_LAB", "demo")
    assert target("--kubeconfig", config).name == "cluster prod"
    assert target("--lab", "demo").name == "lab demo"
    for name in ("other", "demo"):
        with pytest.raises(UsageError, match=f"--lab {name}: give either a lab, or --context or --kubeconfig"):
            target("--lab", name, "--kubeconfig", config)


def test_then_the_environment(running: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHNET_STORE", "memory:")
    assert isinstance(target(), Node)
    monkeypatch.setenv("MESHNET_LAB", "demo")
    assert isinstance(target(), Lab)


@pytest.mark.usefixtures("usual")
def test_then_the_one_running_lab_and_then_the_current_kubeconfig(running: None) -> None:
    assert target().name == "lab demo"
    (record,) = LabRecords.of_this_user().running()
    LabRecords.of_this_user().forget(record)
    assert target().name == "cluster home"


@pytest.mark.usefixtures("usual", "running")
def test_kubectl_means_a_cluster() -> None:
    assert target(prog="kubectl meshnet").name == "cluster home"
    assert target("--lab", "demo", prog="kubectl meshnet").name == "lab demo"


@pytest.mark.usefixtures("running")
@pytest.mark.parametrize("command", ["doctor", "get links", "drivers"])
def test_kubectl_without_a_cluster_is_wrong_use_whatever_runs_here(
    command: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for doctor: that this machine is fine says nothing of a cluster."""
    monkeypatch.delenv("MESHNET_STORE")
    monkeypatch.setattr("sys.argv", ["kubectl-meshnet"])
    ran = machine.run(*command.split())
    assert (ran.code, ran.out) == (exitcodes.WRONG_USE, "")
    assert ran.err.startswith("error: nothing to act on: no kubeconfig names a cluster (")
    assert "no lab is named (--lab, MESHNET_LAB)" in ran.err


@pytest.mark.usefixtures("usual")
def test_a_cluster_is_one_store_and_a_namespace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    named = kubeconfig(tmp_path / "a config", "x", current="x", namespace="team")
    found = target("--kubeconfig", named)
    assert isinstance(found, Cluster)
    assert found.namespace == "team"
    assert isinstance(found.open_store(), KubernetesStore)
    monkeypatch.setenv("KUBECONFIG", named)
    assert target().namespace == "team"


def test_a_kubeconfig_may_stand_in_a_directory_whose_name_is_no_utf8(tmp_path: Path) -> None:
    directory = tmp_path / os.fsdecode(b"caf\xe9")
    directory.mkdir()
    assert target("--kubeconfig", kubeconfig(directory / "config", "x", current="x")).name == "cluster x"


def test_a_lab_that_does_not_run_is_wrong_use() -> None:
    with pytest.raises(UsageError, match="lab 'none': it does not run"):
        target("--lab", "none")


@pytest.mark.parametrize("words", [("lab", "list"), ("lab", "down"), ("lab", "up", "x.yml")])
@pytest.mark.parametrize("option", ["--context", "--kubeconfig"])
def test_labs_are_never_a_clusters(words: tuple[str, ...], option: str, machine: Machine) -> None:
    ran = machine.run(option, "prod", *words)
    assert ran.code == exitcodes.WRONG_USE
    assert f"{option} prod: meshnet lab acts on labs of this machine alone" in ran.err
    assert machine.run(*words, option, "prod").err == ran.err


def test_a_server_that_does_not_answer_is_code_3_in_a_line(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["get", "topologies", "--kubeconfig", config]) == exitcodes.UNREACHABLE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: every Topology in default: list topologies at the API server https://127.0.0.1:1: ")
    assert main(["get", "sandboxes", "--kubeconfig", config]) == exitcodes.UNREACHABLE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: cluster prod: no daemon answers: no daemon reached: ")


def test_doctor_finds_a_server_that_does_not_answer(config: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--kubeconfig", config, "-o", "json"]) == exitcodes.FAILED
    versions, server = json.loads(capsys.readouterr().out)
    assert (versions["about"], versions["outcome"]) == ("versions", "ok")
    assert (server["about"], server["outcome"]) == ("API server", "fail")
    assert "https://127.0.0.1:1" in server["told"]
    assert server["advice"]


@pytest.mark.usefixtures("usual", "running")
@pytest.mark.parametrize("words", [("get", "links", "--lab", ""), ("lab", "down", ""), ("lab", "exec", "r1", "--lab=")])
def test_an_empty_name_is_no_lab_and_not_the_one_that_runs(
    words: tuple[str, ...], machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A variable that is not set would mean whatever runs here, or the cluster of the current kubeconfig."""
    monkeypatch.setattr("meshnet.lab.launch.end", lambda *_: pytest.fail("it was ended"))
    monkeypatch.setattr("meshnet.lab.enter.enter_box", lambda *_: pytest.fail("it was entered"))
    ran = machine.run(*words)
    assert (ran.code, ran.out) == (exitcodes.WRONG_USE, "")
    assert ran.err.startswith("error: lab name '': ")


@pytest.mark.parametrize("name", ["", "a b", "\x1b[31m"])
def test_a_name_that_no_lab_can_have_is_refused_also_where_none_runs(name: str, machine: Machine) -> None:
    ran = machine.run("lab", "down", name)
    assert (ran.code, ran.out) == (exitcodes.WRONG_USE, "")
    assert ran.err.startswith(f"error: lab name {name!r}: ")


@pytest.mark.parametrize("option", ["--lab", "--context"])
def test_doctor_of_a_place_that_is_not_there_is_wrong_use(option: str, machine: Machine) -> None:
    assert machine.run("doctor", option, "none").code == exitcodes.WRONG_USE


@pytest.mark.parametrize("environment", ["", "gone"])
@pytest.mark.parametrize("command", ["drivers", "get drivers", "daemon"])
def test_a_lab_that_does_not_run_is_not_passed_over(
    machine: Machine, command: str, environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHNET_LAB", environment)
    ran = machine.run(*command.split(), "--lab", "gone")
    assert (ran.code, ran.out) == (exitcodes.WRONG_USE, "")
    told = "--lab gone: meshnet daemon acts on this machine" if command == "daemon" else "lab 'gone': it does not run"
    assert told in ran.err
