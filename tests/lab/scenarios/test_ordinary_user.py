"""Everything works for who is not root, in a user namespace; what the kernel keeps for root is done without it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.lab.scenarios.lab import Lab
from tests.lab.scenarios.watching import flooding
from tests.lab.scenarios.wiring import Cable, network, write

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).parents[3]
NOBODY = 65534
DISTRIBUTIONS = (CHECKOUT, CHECKOUT / "plugins/veth", CHECKOUT / "plugins/macvlan")
NEEDED = ("attr", "attrs", "cattr", "cattrs", "pluggy", "pyroute2", "yaml", "_yaml", "typing_extensions.py")
OFFLOAD = Cable(1, "r1:eth1", "r2:eth1", both={"options": {"offload": True}})
PLAIN = Cable(2, "r1:eth2", "r2:eth2")

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="to become another user needs root; who is not one already is it"
)


def python_for(user: int) -> str | None:
    """Return a Python like this one that `user` may run: this one is often in root's home."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for path in (sys.executable, f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        try:
            ran = subprocess.run([path, "-c", ""], user=user, check=False, capture_output=True, timeout=20)
        except OSError:
            continue
        if ran.returncode == 0:
            return path
    return None


def may_make_namespaces(user: int) -> bool:
    ran = subprocess.run(["unshare", "--user", "--net", "true"], user=user, check=False, timeout=20)
    return ran.returncode == 0


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A directory of that user's, with meshnet and its drivers installed in it from their wheels."""
    python = python_for(NOBODY)
    if python is None or not may_make_namespaces(NOBODY):
        pytest.skip("no Python that another user may run, or no user namespaces for who is not root")
    home = Path(tempfile.mkdtemp(prefix="meshnet-user-"))
    try:
        home.chmod(0o755)
        site = home / "site"
        _install(site)
        (home / "python").symlink_to(python)
        shutil.copytree(CHECKOUT / "examples", home / "examples")  # the checkout may be in a directory that is closed
        (home / "run").mkdir()
        os.chown(home / "run", NOBODY, NOBODY)
        yield home
    finally:
        shutil.rmtree(home)


def _install(site: Path) -> None:
    build = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-index", "--no-deps"]
    command = [*build, "--no-build-isolation", "--target", str(site), *map(str, DISTRIBUTIONS)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert ran.returncode == 0, ran.stderr
    for folder in map(Path, sys.path):
        for name in NEEDED:
            if (folder / name).is_dir():
                shutil.copytree(folder / name, site / name, dirs_exist_ok=True)
            elif (folder / name).is_file():
                shutil.copy(folder / name, site / name)


@pytest.fixture
def users(lab: Lab, home: Path) -> Iterator[Lab]:
    """A lab of that user's."""
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(home / "run"),
        "XDG_RUNTIME_DIR": str(home / "run"),
        "PYTHONPATH": str(home / "site"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    python = str(home / "python")
    users = Lab(lab.name, (python, "-m", "meshnet"), python, environ, NOBODY)
    yield users
    users.down()
    assert list((home / "run").iterdir()) == [], "nothing is left where the record was"


def test_run_of_three_nodes(users: Lab, home: Path) -> None:
    ran = users.run("lab", "run", home / "examples/3node.yml")
    rows = [line.split() for line in ran.stdout.splitlines() if line.split()[3:5] == ["veth", "Up"]]
    assert len(rows) == 3
    assert " 6 pings, 0 links with a ping unanswered" in ran.stdout


def test_macvlan_works_too(users: Lab, home: Path) -> None:
    users.run("lab", "run", home / "examples/macvlan.yml")


def test_offload_is_done_by_mirred(users: Lab, home: Path) -> None:
    """Loading programs is root's; the patch is there all the same, and survives the daemon's end."""
    users.up(write(home / "lab.yml", network([OFFLOAD, PLAIN])))
    for link in users.get("links"):
        for end in link["endpoints"]:
            assert "mirred" in users.filters(end["port"])
            assert "bpf" not in users.filters(end["port"])
    with flooding(users, "r1", OFFLOAD.addresses[1]) as flood:
        users.run("lab", "node", "n1", "kill")
        users.run("lab", "node", "n1", "start")
        users.wait("up")
    assert flood.lost == 0
    users.run("link", "down", "r1:eth1")
    users.wait("down", "r1:eth1")
    assert not users.carrier("r2:eth1")
    users.run("lab", "restart", "r1")
    assert users.pings("r1", PLAIN.addresses[1])


def test_root_of_the_machine_is_not_root_of_the_lab(users: Lab, home: Path) -> None:
    """Its processes are that user's on the machine, and it sees no other user's lab."""
    users.up(write(home / "lab.yml", network([PLAIN])))
    (row,) = users.labs()
    status = Path(f"/proc/{row['pid']}/status").read_text()
    assert f"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}" in status
    assert users.exec("r1", "id", "-u") == "0\n"
    assert users.exec("r1", "cat", "/proc/1/comm") == "sleep\n"
