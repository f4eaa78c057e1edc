"""The image, built when it is older than what it is made of. ARCH in the environment chooses one for other machines."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.image.archive import Archive

ROOT = Path(__file__).parents[2]
ARCH = os.environ.get("ARCH", "")
ARCHIVE = ROOT / "build" / (f"meshnet-{ARCH}.tar" if ARCH else "meshnet.tar")
BUILD_LIMIT_S = 900
PARTS = (
    "Dockerfile",
    ".dockerignore",
    "pyproject.toml",
    "hatch_build.py",
    "scripts/image",
    "scripts/requirements",
)


class CannotBuildError(Exception):
    """This machine cannot build images; why, and what would help."""


def built_archive() -> Archive:
    """The archive that ``make image`` leaves. Raises CannotBuildError."""
    if not ARCHIVE.exists() or ARCHIVE.stat().st_mtime < newest_part():
        if reason := why_not():
            raise CannotBuildError(reason)
        command = [ROOT / "scripts" / "image", ARCHIVE]
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return Archive.read(ARCHIVE)


def newest_part() -> float:
    """When what the image is made of was changed last."""
    files = [ROOT / name for name in PARTS]
    for tree in (ROOT / "meshnet", ROOT / "plugins"):
        files += [path for path in tree.rglob("*") if path.suffix in (".py", ".c") and "tests" not in path.parts]
    return max(path.stat().st_mtime for path in files)


def why_not() -> str:
    """Why this machine cannot build images, or ``""``."""
    if subprocess.run([ROOT / "scripts" / "docker-builds"], capture_output=True, check=False).returncode == 0:
        return ""
    missing = [name for name in ("buildah", "mmdebstrap") if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} not installed, and no Docker that does: scripts/system-packages image"
    return "" if os.geteuid() == 0 else "without Docker, only root builds images"
