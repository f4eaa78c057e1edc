"""A virtual environment beside the one that the tests run in, for what only a test's own lab shall have."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from pathlib import Path


@attrs.frozen
class Venv:
    """A virtual environment that has everything of the one that the tests run in, and can be added to.

    There is no network: what `pip` builds with is here already.
    """

    python: str
    site: Path

    @classmethod
    def make(cls, directory: Path) -> Venv:
        venv.create(directory)
        (site,) = directory.glob("lib/python*/site-packages")
        (site / "ours.pth").write_text(f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n")
        return cls(str(directory / "bin/python"), site)

    def install(self, source: Path) -> None:
        """Install the distribution whose source tree that is."""
        self.pip("install", "--no-index", "--no-build-isolation", "--no-deps", source)

    def pip(self, *arguments: object) -> None:
        command = [sys.executable, "-m", "pip", "--python", self.python, "-q", "--disable-pip-version-check"]
        ran = subprocess.run([*command, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=100)
        assert ran.returncode == 0, ran.stderr
