"""The Go toolchain that builds the cluster's programs: the one that is installed, or one that it fetches itself."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.machine.commands import run
from tests.cluster.machine.errors import CannotHereError

NEEDED = (1, 26)
"""What etcd's module asks for."""
FETCHING = (1, 21)
"""Since this version a Go toolchain fetches another one as a module."""
FETCHED = "go1.27.3"
_PLACES = ("/usr/local/go/bin", "/usr/lib/go/bin")


@dataclass(frozen=True)
class Go:
    """A Go command, and the environment in which it is new enough."""

    program: str
    version: str
    environment: dict[str, str]


def find_go(path: str | None = None) -> Go:
    """Return the toolchain to build with.

    Args:
        path: where programs are looked for (default: where the shell looks, and where Go's own installer puts it).

    Raises:
        CannotHereError: there is none that is new enough, or can fetch one that is.
    """
    path = path or os.pathsep.join((os.environ.get("PATH", os.defpath), *_PLACES))
    program = shutil.which("go", path=path)
    if program is None:
        raise CannotHereError("no Go toolchain here: install golang-go")
    environment = {**os.environ, "CGO_ENABLED": "0", "HOME": str(Path.home())}
    version = _version(program, environment)
    if _number(version) < NEEDED:
        if _number(version) < FETCHING:
            wanted, fetching = (".".join(map(str, number)) for number in (NEEDED, FETCHING))
            raise CannotHereError(f"{program} is {version}: Go {wanted} is needed, or {fetching}, which fetches that")
        environment["GOTOOLCHAIN"] = FETCHED
        version = _version(program, environment)
    return Go(program, version, environment)


def _version(program: str, environment: dict[str, str]) -> str:
    return run([program, "env", "GOVERSION"], env=environment).strip()


def _number(version: str) -> tuple[int, ...]:
    found = re.match(r"go(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0,)
