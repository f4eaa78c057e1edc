"""A lab of an ordinary user: everything works but what the kernel reserves to root, and nothing needs root."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshnet.lab import syscalls
from tests.lab import machine
from tests.lab.conftest import ROOT, Lab, unique_name
from tests.lab.topologies import pair, pod

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

pytestmark = pytest.mark.lab

NOBODY = 65534
# by `env`: setpriv itself still starts what only root may start
AS_NOBODY = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "env")
OF_EVERY_COMMAND = ("attr", "attrs", "cattr", "cattrs", "pluggy", "yaml", "_yaml", "pyroute2", "typing_extensions")
OF_SEVERAL_NODES = ("grpc", "cryptography", "cffi", "_cffi_backend")


@pytest.fixture
def user_lab() -> Iterator[Lab]:
    """A lab of `nobody`, with a copy of this installation that everybody may read."""
    if os.geteuid() != 0:
        pytest.skip("is an ordinary user already: the other tests show it")
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv (util-linux) is not here")
    python = _python()
    directory = Path(tempfile.mkdtemp(prefix="meshnet-test-"))
    try:
        directory.chmod(0o755)
        packages = directory / "packages"
        _copy_installation(packages)
        home = directory / "home"
        home.mkdir()
        os.chown(home, NOBODY, NOBODY)
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "XDG_RUNTIME_DIR": str(home),
            "PYTHONPATH": str(packages),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        lab = Lab(unique_name(), [*AS_NOBODY, python, "-m", "meshnet"], environment)
        before = machine.snapshot()
        yield lab
        lab.ok("lab", "down", lab.name)
        machine.eventually(lab.gone, "processes of the lab are left")
        assert machine.snapshot() == before
        assert sorted(path.name for path in home.iterdir()) in ([], [".cache"])
    finally:
        shutil.rmtree(directory)


def _python() -> str:
    """Return an interpreter of this version that everybody may run."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in (sys.executable, f"/usr/bin/python{version}", f"/usr/local/bin/python{version}"):
        if subprocess.run([*AS_NOBODY, python, "-c", ""], capture_output=True, check=False, timeout=20).returncode == 0:
            return python
    pytest.skip(f"no Python {version} that an ordinary user may run")


def _copy_installation(target: Path) -> None:
    target.mkdir()
    for module in OF_EVERY_COMMAND + OF_SEVERAL_NODES:
        spec = importlib.util.find_spec(module)
        if spec is not None and spec.submodule_search_locations:
            shutil.copytree(spec.submodule_search_locations[0], target / module)
        elif spec is not None and spec.origin is not None:
            shutil.copy(spec.origin, target)
    shutil.copytree(ROOT / "meshnet", target / "meshnet", ignore=shutil.ignore_patterns("__pycache__"))
    for distribution in importlib.metadata.distributions():
        points = [point for point in distribution.entry_points if point.group == "meshnet"]
        for point in points:
            spec = importlib.util.find_spec(point.module)
            assert spec is not None
            assert spec.submodule_search_locations
            shutil.copytree(spec.submodule_search_locations[0], target / point.module, dirs_exist_ok=True)
        if points:
            metadata = target / f"{distribution.name.replace('-', '_')}-{distribution.version}.dist-info"
            metadata.mkdir(exist_ok=True)
            for name in ("METADATA", "entry_points.txt"):
                (metadata / name).write_text(distribution.read_text(name) or "")
    subprocess.run(["chmod", "-R", "a+rX", str(target)], check=True)


def test_user_brings_a_lab_up(user_lab):
    lab = user_lab
    command = ("sh", "-c", "ip -br addr show dev eth1; exec sleep 1000")
    lab.ok("lab", "up", "-", stdin=pair(pod("r1", *command), pod("r2")))
    machine.eventually(lambda: "10.0.0.1/24" in lab.ok("lab", "logs", "r1"), "no interface at the start")
    assert lab.sh("r1", "id -u; cat /etc/hostname").split() == ["0", "r1"]
    assert "1 received" in lab.sh("r1", "ping -c 1 -W 5 10.0.0.2")
    lab.ok("lab", "restart", "r1")
    lab.ok("lab", "node", "n1", "kill")
    lab.ok("lab", "node", "n1", "start")
    assert [link["state"] for link in lab.json("get", "links")] == ["Up"]
    assert Path(f"/proc/{lab.pid}").stat().st_uid == NOBODY


def test_user_cuts_a_node_off(user_lab):
    lab = user_lab
    lab.ok("lab", "up", "--nodes", "2", "--underlay", "ipv6", "--place", "r1=n1", "--place", "r2=n1", "-", stdin=pair())
    reach = ("lab", "exec", "n2", "--", "ping", "-c", "1", "-W", "1", "fd00:99::1")
    lab.ok(*reach)
    for way in ((), ("--direction", "in"), ("--direction", "out")):
        lab.ok("lab", "node", "n1", "isolate", *way)
        assert lab.run(*reach).returncode == 1
        lab.ok("lab", "node", "n1", "rejoin")
        machine.eventually(lambda: lab.run(*reach).returncode == 0, "it is still cut off")
    assert lab.ok("lab", "exec", "n1", "--", "ls", "/sys/class/net").split()[:2] == ["eth0", "lo"]


def test_user_runs_a_lab(user_lab):
    done = user_lab.run("lab", "run", "-", stdin=pair())
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 links, 2 pings, 0 links with a ping unanswered" in done.stdout


def test_machine_that_forbids_user_namespaces_says_how_to_allow_them(user_lab, tmp_path):
    output = tmp_path / "output"
    file = tmp_path / "pair.yml"
    file.write_text(pair())
    with file.open() as stdin, output.open("w") as out:
        code = _run_where_none_may_be_made([*user_lab.command, "lab", "up", "-"], user_lab, (stdin, out))
    assert code == 1
    assert "user.max_user_namespaces is 0 (must be a number above 0)" in output.read_text()


def _run_where_none_may_be_made(command: list[str], lab: Lab, files: tuple[TextIO, TextIO]) -> int:
    """Run a command in a user namespace with all ids of this one, where the limit of further ones is 0."""
    pid = os.fork()
    if pid == 0:
        try:
            syscalls.unshare(syscalls.CLONE_NEWUSER)
            os.kill(os.getpid(), signal.SIGSTOP)  # until the maps are written
            Path("/proc/sys/user/max_user_namespaces").write_text("0")
            os.dup2(files[0].fileno(), 0)
            os.dup2(files[1].fileno(), 1)
            os.dup2(files[1].fileno(), 2)
            os.chdir("/")
            os.execvpe(command[0], command, lab.environment)
        finally:
            os._exit(99)
    os.waitpid(pid, os.WUNTRACED)
    for kind in ("uid", "gid"):
        Path(f"/proc/{pid}/{kind}_map").write_text("0 0 4294967295")
    os.kill(pid, signal.SIGCONT)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status)
