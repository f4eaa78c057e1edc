"""What `scripts/guest-kernel` makes of Debian's packages, with stand-ins for these."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this is not Debian")

SCRIPT = Path(__file__).parent.parent / "scripts" / "guest-kernel"
VERSION = "6.0.0-0-amd64"
APT_CACHE = f"""case $* in
depends*) echo "  Depends: linux-image-{VERSION}" ;;
show*) for package; do true; done; printf 'Package: %s\\nVersion: 1\\n' "$package" ;;
esac"""
PROGRAMS = {
    "apt-cache": APT_CACHE,
    "apt-get": 'cp "$HOME"/debs/*.deb .',
    "depmod": 'test -d "$2/lib/modules/$3"',
    "dpkg": "echo amd64",
}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A directory with what guest-kernel runs, as far as it is the machine's."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name, text in PROGRAMS.items():
        program(directory / name, text)
    return directory


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def debian(home: Path, usr: str = "") -> None:
    """Have both packages to be downloaded."""
    kernel = (f"boot/vmlinuz-{VERSION}", f"{usr}lib/modules/{VERSION}/kernel/fs/9p/9p.ko")
    package(home / "debs", f"linux-image-{VERSION}", *kernel)
    package(home / "debs", "busybox-static", f"{usr}bin/busybox")


def package(directory: Path, name: str, *files: str) -> None:
    """Make a package of that name, with these files."""
    tree = directory / name
    for file in ("DEBIAN/control", *files):
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).touch()
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: a\n"
    (tree / "DEBIAN/control").write_text(control)
    subprocess.run(["dpkg-deb", "--build", tree, directory / f"{name}.deb"], check=True, capture_output=True)


def guest_kernel(home: Path) -> Path:
    """Run it, and return what it prints."""
    environ = {"PATH": f"{home}/bin:{os.environ['PATH']}", "HOME": str(home)}
    done = subprocess.run([SCRIPT], env=environ, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())


@pytest.mark.parametrize("usr", ["", "usr/"])
@pytest.mark.usefixtures("programs")
def test_they_are_found_where_debian_12_has_them_and_where_debian_13_has(tmp_path: Path, usr: str) -> None:
    debian(tmp_path, usr)

    for _ in range(2):
        place = guest_kernel(tmp_path)

        assert (place / "bin/busybox").is_file()
        assert (place / f"boot/vmlinuz-{VERSION}").is_file()
        assert (place / f"lib/modules/{VERSION}/kernel/fs/9p/9p.ko").is_file()
        assert list(place.parent.iterdir()) == [place]


def test_what_another_call_got_meanwhile_stays_since_its_guest_uses_it(tmp_path: Path, programs: Path) -> None:
    debian(tmp_path)
    cache = tmp_path / ".cache/meshnet/guest"
    theirs = cache / f"linux-image-{VERSION}=1/theirs"
    older = cache / "linux-image-5.0.0=1"
    older.mkdir(parents=True)
    program(programs / "apt-get", f"{PROGRAMS['apt-get']}\nmkdir -p {theirs}")

    assert guest_kernel(tmp_path) == theirs.parent

    assert theirs.exists()
    assert list(cache.iterdir()) == [theirs.parent]
