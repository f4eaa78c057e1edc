from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshnet.cli import exitcodes
from meshnet.cli.main import COMMANDS, main, parse
from meshnet.errors import UsageError

if TYPE_CHECKING:
    from tests.cli.conftest import Machine

MESHNET = [sys.executable, "-m", "meshnet"]


@pytest.mark.parametrize(
    "arguments", [["--lab", "x", "get", "links"], ["get", "--lab=x", "links"], ["get", "links", "--lab", "x"]]
)
def test_global_options_stand_anywhere(arguments: list[str]) -> None:
    args = parse(arguments)
    assert (args.command, args.what, args.lab, args.verbose) == ("get", "links", "x", False)


def test_a_lab_may_be_named_like_a_command() -> None:
    args = parse(["--lab", "get", "apply", "-f", "x.yml"])
    assert (args.command, args.lab, args.files) == ("apply", "get", ["x.yml"])


def test_the_lab_of_the_environment_counts_until_another_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHNET_LAB", "mine")
    assert parse(["get", "links"]).lab == "mine"
    assert parse(["get", "links", "--lab", "other"]).lab == "other"


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["get"], ["get", "nonsense"], ["wait", "--for", "later"], ["get", "links", "--lab"]]
)
def test_wrong_use_is_one_line_and_code_2(arguments: list[str], machine: Machine) -> None:
    ran = machine.run(*arguments)
    assert ran.code == exitcodes.WRONG_USE
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1


def test_nothing_to_act_on_names_every_way(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MESHNET_STORE")
    ran = machine.run("get", "links")
    assert ran.code == exitcodes.WRONG_USE
    for way in ("meshnet lab up", "KUBECONFIG", "--kubeconfig FILE", "MESHNET_STORE"):
        assert way in ran.err


def test_a_store_that_cannot_be_asked_is_code_3(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MESHNET_STORE", "sqlite:/nowhere/at/all/store.db")
    assert machine.run("get", "topologies").code == exitcodes.UNREACHABLE


def test_verbose_adds_where_an_error_came_from(machine: Machine) -> None:
    assert "Traceback" not in machine.run("get", "links", "r9:eth1").err
    assert "Traceback" in machine.run("-v", "get", "links", "r9:eth1").err


def test_help_loads_no_command() -> None:
    script = (
        "import sys; from meshnet.cli.main import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        "costly = ('meshnet.', 'asyncio', 'yaml', 'attrs', 'pyroute2')\n"
        "loaded = [name for name in sys.modules if name.startswith(costly)]\n"
        "print(*sorted(loaded), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr.split() == [
        "meshnet.cli",
        *(f"meshnet.cli.{name}" for name in ("exitcodes", "main", "parser", "streams")),
        "meshnet.errors",
    ]
    assert all(f"    {command} " in done.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    ("modules", "spared"),
    [
        (("meshnet.cli.lab", "meshnet.lab.control", "meshnet.lab.inside"), ("asyncio", "yaml", "cattrs")),
        (("meshnet.cli.get", "meshnet.cli.views.links", "meshnet.cli.targets.lab"), ("yaml", "cattrs", "pluggy")),
    ],
    ids=["lab exec", "get links"],
)
def test_what_scripts_call_often_loads_no_more_than_it_needs(modules: tuple[str, ...], spared: tuple[str, ...]) -> None:
    script = f"import sys, {', '.join(modules)}\nsys.exit(' '.join(set(sys.modules) & {set(spared)}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stderr == "\n"


def test_a_broken_pipe_is_no_noise() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*MESHNET, "drivers", "-o", "json"], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (exitcodes.BROKEN_PIPE, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [("drivers", "-o", "json"), ("--help",), ("drivers", "--help"), ("--version",)])
def test_a_full_disk_is_one_line(words: tuple[str, ...], unbuffered: str) -> None:
    env = {**os.environ, "PYTHONUNBUFFERED": unbuffered}
    with open("/dev/full", "wb") as full:
        done = subprocess.run([*MESHNET, *words], stdout=full, stderr=subprocess.PIPE, env=env, check=False, timeout=20)
    assert done.returncode == exitcodes.FAILED
    assert done.stderr == b"error: standard output: No space left on device\n"


class Interrupted(io.BytesIO):
    def read(self, *_size: object) -> bytes:
        signal.raise_signal(signal.SIGINT)
        return b""


def test_ctrl_c_is_130(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Interrupted()))
    # who starts this in the background may have it ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        ran = machine.run("apply", "-f", "-")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (ran.code, ran.out, ran.err) == (exitcodes.INTERRUPTED, "", "")


INTERRUPTED_WHILE_LOADED = """
import runpy, signal, sys
class Finder:
    def find_spec(name, path=None, target=None):
        if name == "meshnet.cli.main":
            signal.raise_signal(signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, Finder)
runpy.run_module("meshnet", run_name="__main__")
"""


def test_ctrl_c_while_the_command_line_is_loaded_is_130() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_LOADED], capture_output=True, text=True, check=False, timeout=20
    )
    assert (done.returncode, done.stdout, done.stderr) == (exitcodes.INTERRUPTED, "", "")


def test_installed_commands_begin_there_too() -> None:
    scripts = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["scripts"]
    assert set(scripts.values()) == {"meshnet.__main__:main"}


def test_a_usage_error_inside_a_command_is_raised_by_parse() -> None:
    with pytest.raises(UsageError, match="there are topologies"):
        parse(["get", "nonsense"])


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.startswith("meshnet ")


@pytest.mark.parametrize(
    ("program", "shown"),
    [("/usr/bin/meshnet", "meshnet"), ("/x/kubectl-meshnet", "kubectl meshnet"), ("-c", "meshnet")],
)
def test_help_names_the_command_as_it_was_called(
    program: str, shown: str, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [program])
    assert f"`{shown} get --help`" in machine.run("get").err
