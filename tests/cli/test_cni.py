"""``meshnet cni``, on directories that stand for a node's."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.cli import exitcodes
from meshnet.cni.install.names import Places
from meshnet.cni.install.node import install
from tests.cni.daemon import Daemon, answer

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Machine

FLANNEL = {"name": "cbr0", "cniVersion": "0.3.1", "plugins": [{"type": "flannel"}]}


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    found = Places(tmp_path / "bin", tmp_path / "net.d")
    found.bin_dir.mkdir()
    found.conf_dir.mkdir()
    (found.conf_dir / "10-flannel.conflist").write_text(json.dumps(FLANNEL))
    monkeypatch.setenv("MESHNET_SOCKET", str(tmp_path / "meshnetd.sock"))
    return found


def options(places: Places) -> list[str]:
    return ["--bin-dir", str(places.bin_dir), "--conf-dir", str(places.conf_dir)]


def states(machine: Machine, places: Places) -> tuple[int, dict[str, str]]:
    ran = machine.run("cni", "status", *options(places), "-o", "json")
    return ran.code, {row["part"]: row["state"] for row in json.loads(ran.out)}


def test_from_nothing_to_installed_and_back(machine: Machine, places: Places) -> None:
    assert states(machine, places) == (1, {"plugin": "missing", "list": "missing", "daemon": "away"})
    done = machine.run("cni", "install", *options(places))
    assert (done.code, done.out.count("written")) == (0, 2)
    assert "in place already" in machine.run("cni", "install", *options(places)).out
    assert states(machine, places) == (0, {"plugin": "installed", "list": "installed", "daemon": "away"})
    gone = machine.run("cni", "uninstall", *options(places))
    assert (gone.code, gone.out.count("removed")) == (0, 2)
    assert "nothing of it was there" in machine.run("cni", "uninstall", *options(places)).out
    assert [path.name for path in places.conf_dir.iterdir()] == ["10-flannel.conflist"]


def test_a_name_in_the_directories_commands_no_terminal(machine: Machine, places: Places) -> None:
    (places.conf_dir / "10-flannel.conflist").rename(places.conf_dir / "10-\x1b[31m.conflist")
    assert "meshnet after 10-\\x1b[31m.conflist\n" in machine.run("cni", "install", *options(places)).out


def test_the_environment_of_the_daemon_counts(
    machine: Machine, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MESHNET_CNI_BIN_DIR", str(places.bin_dir))
    monkeypatch.setenv("MESHNET_CNI_CONF_DIR", str(places.conf_dir))
    assert machine.run("cni", "install").code == 0
    assert places.list.exists()


def test_without_a_primary_it_says_so(machine: Machine, places: Places) -> None:
    (places.conf_dir / "10-flannel.conflist").unlink()
    ran = machine.run("cni", "install", *options(places))
    assert ran.code == exitcodes.FAILED
    assert "install a primary network" in ran.err
    assert ran.err.count("\n") == 1


def test_what_is_not_right_is_not_said_to_be_in_place(machine: Machine, places: Places) -> None:
    machine.run("cni", "install", *options(places))
    (places.conf_dir / "05-other.conflist").write_text("{")
    ran = machine.run("cni", "install", *options(places))
    assert (ran.code, ran.out) == (exitcodes.FAILED, "")
    assert "until it can be read, nothing is changed" in ran.err


def test_what_is_kept_is_named(machine: Machine, places: Places) -> None:
    places.plugin.write_bytes(b"\x7fELF")
    ran = machine.run("cni", "uninstall", *options(places))
    assert ran.code == exitcodes.FAILED
    assert f"{places.plugin} stays: it is another program" in ran.err


def test_a_daemon_that_installs_again_is_named(machine: Machine, places: Places) -> None:
    install(places)
    over = threading.Event()

    def put_back() -> None:
        while not over.wait(0.02):
            install(places)

    daemon = threading.Thread(target=put_back)
    daemon.start()
    ran = machine.run("cni", "uninstall", *options(places))
    over.set()
    daemon.join()
    assert ran.code == exitcodes.FAILED
    assert "a daemon of this node installs it: stop that first" in ran.err


@pytest.mark.parametrize("option", ["--bin-dir", "--conf-dir"])
def test_an_empty_name_is_no_directory(
    machine: Machine, places: Places, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(places.conf_dir)
    ran = machine.run("cni", "install", *options(places), option, "")
    assert (ran.code, "'' is no directory" in ran.err) == (exitcodes.WRONG_USE, True)
    assert [path.name for path in places.conf_dir.iterdir()] == ["10-flannel.conflist"]


@pytest.mark.parametrize(
    ("told", "state", "code"),
    [
        ({}, "apart", 0),
        ({"cni": {"problem": ""}}, "installed", 0),
        ({"cni": {"problem": "the disk is full"}}, "failed", 1),
        ({"cni": {"problem": "", "conf_dir": "/elsewhere"}}, "apart", 0),
    ],
)
def test_the_daemons_word(
    machine: Machine, places: Places, tmp_path: Path, told: dict[str, Any], state: str, code: int
) -> None:
    install(places)
    if "cni" in told:
        where = {"bin_dir": str(places.bin_dir), "conf_dir": str(places.conf_dir), "source": "10-a.conflist"}
        told["cni"] = {**where, "remarks": [], **told["cni"]}
    with Daemon(tmp_path / "meshnetd.sock", answer(json.dumps({"node": "n1", **told}).encode())):
        assert states(machine, places) == (code, {"plugin": "installed", "list": "installed", "daemon": state})


@pytest.mark.parametrize("verb", ["install", "uninstall", "status"])
@pytest.mark.parametrize("named", [("--context", "prod"), ("--kubeconfig", "/nowhere"), ("--lab", "demo")])
def test_another_place_is_refused(machine: Machine, places: Places, verb: str, named: tuple[str, str]) -> None:
    """Else `meshnet cni uninstall --context prod` takes meshnet off the operator's own machine."""
    places.conf_dir.mkdir(parents=True, exist_ok=True)
    before = sorted(places.conf_dir.iterdir())

    ran = machine.run("cni", verb, *named, "--bin-dir", str(places.bin_dir), "--conf-dir", str(places.conf_dir))

    assert ran.code == exitcodes.WRONG_USE
    assert f"{' '.join(named)}: meshnet cni acts on this machine" in ran.err
    assert sorted(places.conf_dir.iterdir()) == before


def test_it_is_no_plugin_of_kubectls(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["kubectl-meshnet"])
    for words in (("cni", "status"), ("daemon",)):
        ran = machine.run(*words)
        assert (ran.code, "kubectl meshnet: meshnet" in ran.err) == (exitcodes.WRONG_USE, True)
