"""The Go toolchain that builds the cluster's programs: the one that is installed, or a newer one that it fetches."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.machine.commands import run
from tests.cluster.machine.errors import CannotHereError

NEEDED = (1, 26)
"""What etcd's module asks for."""
FETCHED = "go1.27.3"
FETCH_S = 600.0
_PLACES = ("/usr/local/go/bin", "/usr/lib/go/bin")
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


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
        CannotHereError: there is none.
        ClusterError: it is too old, and cannot fetch a newer one.
    """
    path = path or os.pathsep.join((os.environ.get("PATH", os.defpath), *_PLACES))
    program = shutil.which("go", path=path)
    if program is None:
        raise CannotHereError("no Go toolchain here: install golang-go")
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "HOME": str(Path.home())}
    version = _version(program, environment)
    if _number(version) < NEEDED:
        environment.pop("GOROOT", None)
        program = _fetched(program, environment)
        version = _version(program, environment)
    return Go(program, version, environment)


def _fetched(program: str, environment: dict[str, str]) -> str:
    """Have a toolchain fetched as the module that it is, too, and return its command.

    From Go 1.21 on, the command does so by itself; asked for the module, older ones do as well.
    """
    machine = _ARCHITECTURES.get(platform.machine(), platform.machine())
    module = f"golang.org/toolchain@v0.0.1-{FETCHED}.linux-{machine}"
    # not in the directory of a module that asks for a newer Go
    command = ["env", "-C", "/", program, "mod", "download", "-json", module]
    home = Path(json.loads(run(command, env=environment, timeout_s=FETCH_S))["Dir"])
    for tool in (*(home / "bin").iterdir(), *(home / "pkg/tool").rglob("*")):
        # files of modules are not executable
        tool.chmod(0o755)
    return str(home / "bin/go")


def _version(program: str, environment: dict[str, str]) -> str:
    return run([program, "env", "GOVERSION"], env=environment).strip()


def _number(version: str) -> tuple[int, ...]:
    found = re.match(r"go(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0,)
