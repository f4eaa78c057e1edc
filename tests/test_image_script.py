"""What the script that builds the image refuses before it builds anything, by what it builds, and what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "image"
BUILDAH = """#!/bin/sh
# As buildah: says what it is asked, leaves files of its own, and takes its time.
while case $1 in --*) true ;; *) false ;; esac; do shift 2; done
case $1 in
bud)
    mkdir -p MACHINE/etc/cni/net.d
    touch MACHINE/etc/cni/net.d/cni.lock
    until [ -e MACHINE/enough ]; do sleep 0.05; done
    ;;
push)
    archive=${4#*:}
    echo image >"${archive%%:*}"
    ;;
esac
"""


def test_a_processor_that_no_image_is_for_is_an_error(tmp_path: Path) -> None:
    environment = {**os.environ, "ARCH": "sparc", "XDG_CACHE_HOME": str(tmp_path / "cache")}

    command = [SCRIPT, tmp_path / "meshnet.tar"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)

    assert done.returncode == 1
    assert "ARCH: 'sparc'" in done.stderr
    assert "amd64 or arm64" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def build(tmp_path: Path) -> tuple[list[Path], dict[str, str]]:
    """Command and environment that build `meshnet.tar` by a stand-in for buildah, on the machine in `machine`."""
    machine, scripts, programs = (tmp_path / name for name in ("machine", "checkout/scripts", "bin"))
    for directory in (machine / "etc", machine / "var/lib", scripts, scripts.parent / "meshnet", programs):
        directory.mkdir(parents=True)
    (scripts.parent / "meshnet/__init__.py").write_text('__version__ = "1"\n')
    text = SCRIPT.read_text()
    for place in ("/etc/cni/", "/var/lib/containers/"):
        assert place in text
        text = text.replace(place, f"{machine}{place}")
    for path, content in (
        (scripts / "image", text),
        (scripts / "docker-builds", "#!/bin/sh\nexit 1\n"),
        (programs / "buildah", BUILDAH.replace("MACHINE", str(machine))),
        (programs / "mmdebstrap", "#!/bin/sh\n"),
    ):
        path.write_text(content)
        path.chmod(0o755)
    cache = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    environment = {**os.environ, **cache, "PATH": f"{programs}:{os.environ['PATH']}", "ARCH": ""}
    return [scripts / "image", tmp_path / "meshnet.tar"], environment


def under_way(tmp_path: Path, run: subprocess.Popen[bytes]) -> None:
    """Wait until a build has left something of buildah's."""
    while not (tmp_path / "machine/etc/cni/net.d/cni.lock").exists():
        assert run.poll() is None
        time.sleep(0.05)


def test_two_builds_at_once_leave_nothing_of_what_buildah_leaves(
    tmp_path: Path, build: tuple[list[Path], dict[str, str]]
) -> None:
    """Each half of the cluster tests may have the image to build."""
    command, environment = build

    with subprocess.Popen(command, env=environment) as first:
        under_way(tmp_path, first)
        with subprocess.Popen(command, env=environment) as second:
            time.sleep(0.5)
            (tmp_path / "machine/enough").touch()
            assert (first.wait(30), second.wait(30)) == (0, 0)

    assert (tmp_path / "meshnet.tar").read_text() == "image\n"
    assert not (tmp_path / "machine/etc/cni").exists()


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_build_that_is_broken_off_leaves_nothing_either(
    tmp_path: Path, build: tuple[list[Path], dict[str, str]], ending: signal.Signals
) -> None:
    command, environment = build
    # What whoever runs the tests ignores, as nohup does, no shell can catch.
    words = ["env", "--default-signal", *command]

    with subprocess.Popen(words, env=environment, start_new_session=True) as run:
        under_way(tmp_path, run)
        os.killpg(run.pid, ending)  # as a terminal does
        assert run.wait(30) != 0

    assert not (tmp_path / "machine/etc/cni").exists()
    assert not (tmp_path / "meshnet.tar.new").exists()


DOCKER = """#!/bin/sh
# As docker, or what answers to its name.
case "$*" in
'buildx version') echo a version ;;
version*) echo ENGINE ;;
'buildx inspect') INSPECT ;;
esac
"""


@pytest.mark.parametrize(
    ("engine", "inspect", "code"),
    [
        ("27.1.0", 'printf "Name: default\\nDriver: docker\\n"', 0),
        ("24.0.7", 'printf "Name: default\\nDriver: docker\\n"', 1),
        ("24.0.7", 'printf "Name: mine\\nDriver: docker-container\\n"', 0),
        ("5.4.2", 'printf "Name:   default\\nDriver: podman\\n"', 1),
        ("4.9.3", "echo 'Error: unrecognized command' >&2; exit 125", 1),
    ],
)
def test_not_every_docker_writes_oci_archives(tmp_path: Path, engine: str, inspect: str, code: int) -> None:
    (tmp_path / "docker").write_text(DOCKER.replace("ENGINE", engine).replace("INSPECT", inspect))
    (tmp_path / "docker").chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}

    done = subprocess.run([SCRIPT.parent / "docker-builds"], env=environment, capture_output=True, check=False)

    assert done.returncode == code, done.stderr
