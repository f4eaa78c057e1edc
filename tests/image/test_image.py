"""The image is what its page says: small, without a compiler, and everything in it runs."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from meshnet import __version__
from meshnet.cli.checks.machine import is_static
from meshnet.cni.client import ask, listens
from tests.image.build import ARCH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.image.archive import Archive

MOST_MB = 230
"""Unpacked, whatever the layers of the archive are packed with."""
TOOLS = "cc gcc g++ cc1 as ld make pip pip3 musl-gcc tcc clang"
DRIVERS = {"veth", "macvlan", "vxlan", "grpcwire"}
MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
NODE_IP = "192.0.2.1"
ENVIRONMENT = {"PATH": "/opt/meshnet/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
IN_CONTAINER = f"""
ip address add {NODE_IP}/32 dev lo && ip link set lo up && mount -t proc proc "$0/proc" && exec chroot "$0" "$@"
"""


def container(root: Path, *command: str) -> list[str]:
    """The command line that runs a command in a container of the image: with namespaces of its own, as root."""
    if os.geteuid() != 0:
        pytest.skip("only root enters a root directory")
    return ["unshare", "--mount", "--net", "sh", "-c", IN_CONTAINER, str(root), *command]


def run(root: Path, *command: str) -> str:
    """What a command prints in a container."""
    done = subprocess.run(
        container(root, *command), env=ENVIRONMENT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextlib.contextmanager
def daemon(root: Path, **environment: str) -> Iterator[Path]:
    """The daemon in a container, until it is asked to stop; its socket, as it is called outside."""
    socket = root / "run/meshnet/meshnetd.sock"
    env = {**ENVIRONMENT, "NODE_NAME": "n1", "HOST_IP": NODE_IP, **environment}
    with subprocess.Popen(container(root, "meshnet", "daemon"), env=env, stderr=subprocess.PIPE, text=True) as process:
        try:
            until = time.monotonic() + 30
            while not listens(socket) and process.poll() is None and time.monotonic() < until:
                time.sleep(0.1)
            yield socket
            process.terminate()
            said = process.communicate(timeout=30)[1]
        finally:
            process.kill()
    assert "links go on as they are" in said


def test_it_runs_the_daemon_unless_told_otherwise(archive: Archive) -> None:
    config = archive.config["config"]

    assert [*config["Entrypoint"], *config["Cmd"]] == ["meshnet", "daemon"]
    assert config["User"] == "0:0"
    assert archive.name.rpartition("/")[2] == f"meshnet:{__version__}"
    assert archive.config["architecture"] in ([ARCH] if ARCH else ["amd64", "arm64"])


def test_it_is_small(archive: Archive, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = archive.path.stat().st_size / 1e6
    unpacked = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir()) / 1e6
    with capsys.disabled():
        print(f"\n{archive.path.name}: {archive.name}, {packed:.0f} MB, unpacked {unpacked:.0f} MB")

    assert unpacked < MOST_MB


def test_nothing_that_only_the_build_needs_is_left(root: Path) -> None:
    found = {
        path.name
        for directory in ("usr/bin", "usr/local/bin", "opt/meshnet/bin", "usr/lib/gcc")
        for path in (root / directory).glob("*")
    }
    packages = {path.name for path in (root / "opt/meshnet/lib").glob("python3*/site-packages/*")}

    assert found & set(TOOLS.split()) == set()
    assert {"meshnet", "kubectl-meshnet"} <= found
    assert packages & {"pip", "setuptools", "hatchling", "pytest"} == set()
    assert packages >= {"meshnet", "kubernetes", *(f"meshnet_{name}" for name in DRIVERS)}
    assert list((root / "var/lib/apt/lists").glob("*Packages*")) == []
    assert not (root / "src").exists()


def test_nothing_of_the_builders_machine_is_left(archive: Archive, root: Path) -> None:
    assert not (root / "etc/pip.conf").exists()
    assert not (root / "run/ca.crt").exists()
    said = json.dumps(archive.config).lower()
    assert not any(word in said for word in ("pip_", "index_url", "http://", "https://"))


def test_the_plugin_runs_on_any_host(root: Path) -> None:
    (plugin,) = (root / "opt/meshnet/lib").glob("python3*/site-packages/meshnet/cni/bin/meshnet")

    done = subprocess.run(
        [plugin], env={"CNI_COMMAND": "VERSION"}, stdin=subprocess.DEVNULL, capture_output=True, check=True
    )

    assert is_static(plugin)
    assert "1.1.0" in json.loads(done.stdout)["supportedVersions"]


def test_the_daemon_runs_inside_with_four_usable_drivers(archive: Archive, root: Path) -> None:
    if archive.config["architecture"] != MACHINES.get(os.uname().machine):
        pytest.skip("a program of another processor's has not got all of netlink (qemu-user)")
    with daemon(root) as socket:
        told = ask(socket, "drivers", timeout_s=10)

    assert {row["name"]: row["state"] for row in told["drivers"]} == dict.fromkeys(DRIVERS, "usable")


def test_its_drivers_are_listed_without_a_daemon(root: Path) -> None:
    rows = json.loads(run(root, "meshnet", "drivers", "-o", "json"))

    # in a namespace without an address, what needs one says so
    assert {row["name"] for row in rows} == DRIVERS
    assert [row["reason"] for row in rows if row["state"] == "broken"] == []


def test_every_command_starts_inside(root: Path) -> None:
    assert run(root, "meshnet", "--version") == f"meshnet {__version__}\n"
    assert "usage: kubectl meshnet" in run(root, "kubectl-meshnet", "--help")
    assert "usage: meshnet daemon" in run(root, "meshnet", "daemon", "--help")


def test_it_installs_itself_on_a_node(root: Path) -> None:
    for directory in ("opt/cni/bin", "etc/cni/net.d"):
        (root / directory).mkdir(parents=True, exist_ok=True)
    primary = root / "etc/cni/net.d/10-net.conflist"
    primary.write_text('{"name": "net", "cniVersion": "1.0.0", "plugins": [{"type": "bridge"}]}')

    run(root, "meshnet", "cni", "install")

    assert is_static(root / "opt/cni/bin/meshnet")
    assert "meshnet" in (root / "etc/cni/net.d/00-meshnet.conflist").read_text()
    run(root, "meshnet", "cni", "uninstall")
    assert [path.name for path in primary.parent.iterdir()] == [primary.name]
