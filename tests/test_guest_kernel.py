"""What `scripts/guest-kernel` makes of Debian's packages, with stand-ins for these."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "guest-kernel"
VERSION = "6.0.0-0-amd64"
APT_CACHE = f"""case $* in
depends*) echo "  Depends: linux-image-{VERSION}" ;;
show*) for package; do true; done; printf 'Package: %s\\nVersion: 1\\n' "$package" ;;
esac"""
PROGRAMS = {
    "apt-cache": APT_CACHE,
    "apt-get": 'cp "$DEBS"/*.deb .',
    "depmod": 'test -d "$2/lib/modules/$3"',
    "dpkg": "echo amd64",
}


def package(directory: Path, name: str, *files: str) -> None:
    """Make a package of that name, with these files."""
    tree = directory / name
    for file in ("DEBIAN/control", *files):
        (tree / file).parent.mkdir(parents=True, exist_ok=True)
        (tree / file).touch()
    control = f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b>\nDescription: a\n"
    (tree / "DEBIAN/control").write_text(control)
    subprocess.run(["dpkg-deb", "--build", tree, directory / f"{name}.deb"], check=True, capture_output=True)


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="this is not Debian")
@pytest.mark.parametrize("usr", ["", "usr/"])
def test_they_are_found_where_debian_12_has_them_and_where_debian_13_has(tmp_path: Path, usr: str) -> None:
    debs, programs = tmp_path / "debs", tmp_path / "bin"
    programs.mkdir()
    for name, text in PROGRAMS.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    kernel = (f"boot/vmlinuz-{VERSION}", f"{usr}lib/modules/{VERSION}/kernel/fs/9p/9p.ko")
    package(debs, f"linux-image-{VERSION}", *kernel)
    package(debs, "busybox-static", f"{usr}bin/busybox")
    environ = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        "DEBS": str(debs),
    }

    for _ in range(2):
        found = subprocess.run([SCRIPT], env=environ, capture_output=True, text=True, timeout=30, check=False)

        assert found.returncode == 0, found.stderr
        place = Path(found.stdout.strip())
        assert (place / "bin/busybox").is_file()
        assert (place / f"boot/vmlinuz-{VERSION}").is_file()
        assert (place / f"lib/modules/{VERSION}/kernel/fs/9p/9p.ko").is_file()
    assert list((tmp_path / "cache/meshnet/guest").iterdir()) == [place]
