"""The image, built when it is older than what it is made of, and a container's root made from it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.image.archive import Archive

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
ARCHIVE = ROOT / "build" / "meshnet.tar"
BUILD_LIMIT_S = 900
TIMEOUT_S = BUILD_LIMIT_S + 60
"""Of a test: its first has the image to build."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.cluster)
            item.add_marker(pytest.mark.timeout(TIMEOUT_S))


@pytest.fixture(scope="session")
def archive() -> Archive:
    """The archive that ``make image`` leaves."""
    if not ARCHIVE.exists() or ARCHIVE.stat().st_mtime < newest_source():
        if reason := why_not():
            pytest.skip(reason)
        done = subprocess.run(
            [ROOT / "scripts" / "image", ARCHIVE], capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return Archive.read(ARCHIVE)


@pytest.fixture(scope="session")
def root(archive: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What a container of the image has for its root."""
    directory = tmp_path_factory.mktemp("image") / "root"
    archive.unpack(directory)
    yield directory
    shutil.rmtree(directory)


def newest_source() -> float:
    """When what the image is made of was changed last."""
    files = [
        ROOT / name for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "hatch_build.py", "scripts/image")
    ]
    files += [
        path for tree in ("meshnet", "plugins") for path in (ROOT / tree).rglob("*") if path.suffix in (".py", ".c")
    ]
    return max(path.stat().st_mtime for path in files)


def why_not() -> str:
    """Why this machine cannot build images, or ``""``."""
    if shutil.which("docker") and subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0:
        return ""
    missing = [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} not installed, and no Docker: scripts/system-packages image"
    return "" if os.geteuid() == 0 else "without Docker, only root builds images"
