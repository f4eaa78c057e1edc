"""What runs here: versions, rights, programs, the CNI directories."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from meshnet import __version__
from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cni.install.lists import list_files
from meshnet.cni.install.names import CONF_DIR
from meshnet.cni.plugin import PROGRAM, plugin_command
from meshnet.errors import MeshnetError
from meshnet.lab.network import PLUGIN_DIRECTORIES, find_plugin
from meshnet.lab.userns import maps_ranges

if TYPE_CHECKING:
    from collections.abc import Sequence

LIBRARIES = ("attrs", "cattrs", "kubernetes", "pluggy", "pyroute2", "PyYAML")
CAPABILITIES = {"NET_ADMIN": 12, "NET_RAW": 13, "NET_BROADCAST": 11, "SYS_ADMIN": 21}
"""What a daemon needs, and the bit of each in /proc/self/status."""

PROGRAMS = {"ping": "iputils-ping", "ip": "iproute2"}
"""Programs that people run in pods of labs, and the Debian package of each."""

TABLES = "/etc/subuid and /etc/subgid"
ELF_MAGIC = b"\x7fELF"
RUN_LIMIT_S = 10


def check_machine() -> list[Finding]:
    """Return what was found about versions, rights, programs and directories."""
    return [
        check_versions(),
        _rights(),
        *_programs(),
        _plugin(),
        check_reference_plugins(),
        check_configuration(CONF_DIR),
    ]


def check_versions() -> Finding:
    """Return what this command is made of."""
    parts = [f"meshnet {__version__}", f"Python {platform.python_version()} ({sys.executable})"]
    parts += [f"{name} {metadata.version(name)}" for name in LIBRARIES]
    return Finding("machine", "versions", Outcome.OK, ", ".join(parts))


def _rights() -> Finding:
    if os.geteuid() == 0:
        missing = missing_capabilities(Path("/proc/self/status").read_text(errors="replace"))
        if not missing:
            return Finding("machine", "rights", Outcome.OK, "root, with every capability that a daemon needs")
        told = f"root without {', '.join(missing)}"
        return Finding("machine", "rights", Outcome.FAIL, told, "give the container these capabilities")
    told = f"uid {os.geteuid()}: labs run in a user namespace, a daemon on this machine does not"
    try:
        if maps_ranges():
            return Finding("machine", "rights", Outcome.OK, told)
    except MeshnetError as error:
        return Finding("machine", "rights", Outcome.FAIL, f"labs do not start: {error}", f"correct {TABLES}")
    needs = f"apt-get install uidmap, a range for you in {TABLES}, and no no_new_privs, which containers may set"
    cure = f"pods see one uid only; for more: {needs}"
    return Finding("machine", "rights", Outcome.WARN, told, cure)


def missing_capabilities(status: str) -> list[str]:
    """Return the needed capabilities that the effective set in a /proc/PID/status does not have."""
    effective = int(next(line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), 16)
    return [f"CAP_{name}" for name, bit in CAPABILITIES.items() if not effective >> bit & 1]


def _programs() -> list[Finding]:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    found = []
    for program, package in PROGRAMS.items():
        where = shutil.which(program, path=path)
        if where:
            found.append(Finding("machine", program, Outcome.OK, where))
        else:
            cure = f"apt-get install {package}; pods of labs use this machine's programs"
            found.append(Finding("machine", program, Outcome.WARN, "not installed", cure))
    return found


def _plugin() -> Finding:
    """Whether the CNI plugin answers VERSION, and whether a host without Python could run it."""
    try:
        program = plugin_command()
        done = subprocess.run(
            [program],
            input=b'{"cniVersion":"1.0.0"}',
            env={"CNI_COMMAND": "VERSION"},
            capture_output=True,
            timeout=RUN_LIMIT_S,
            check=False,
        )
    except (MeshnetError, OSError, subprocess.TimeoutExpired) as error:
        return Finding("plugin", "binary", Outcome.FAIL, str(error), "reinstall meshnet-cni")
    if done.returncode or b"supportedVersions" not in done.stdout:
        told = f"{program}: VERSION answers {done.stdout[:200]!r}, exit code {done.returncode}"
        return Finding("plugin", "binary", Outcome.FAIL, told, "reinstall meshnet-cni")
    if program != PROGRAM:
        cure = "install gcc or musl-gcc, then reinstall meshnet-cni: each CNI call starts a Python until then"
        return Finding("plugin", "binary", Outcome.WARN, f"{program} runs; it is the Python front", cure)
    if not is_static(program):
        cure = "reinstall meshnet-cni where a static libc is (musl-tools): a node's host may have another libc"
        return Finding("plugin", "binary", Outcome.WARN, f"{program} runs; it is linked dynamically", cure)
    return Finding("plugin", "binary", Outcome.OK, f"{program} runs; it is static")


def is_static(program: Path) -> bool:
    """Tell whether an ELF program asks for no interpreter (no PT_INTERP segment)."""
    data = program.read_bytes()
    if data[:4] != ELF_MAGIC or data[4] != 2:
        return False
    order = "little" if data[5] == 1 else "big"

    def number(offset: int, size: int) -> int:
        return int.from_bytes(data[offset : offset + size], order)  # type: ignore[arg-type]

    table, size, count = number(32, 8), number(54, 2), number(56, 2)
    interpreter = 3
    return all(number(table + index * size, 4) != interpreter for index in range(count))


def check_reference_plugins(directories: Sequence[Path] = PLUGIN_DIRECTORIES) -> Finding:
    """Return whether a lab finds the plugins that it needs for a primary network."""
    try:
        found = [find_plugin(kind, directories) for kind in ("bridge", "host-local")]
    except MeshnetError as error:
        cure = "apt-get install containernetworking-plugins; only `meshnet lab up --primary bridge` needs them"
        return Finding("plugin", "reference plugins", Outcome.WARN, str(error), cure)
    return Finding("plugin", "reference plugins", Outcome.OK, ", ".join(map(str, found)))


def check_configuration(directory: Path) -> Finding:
    """Return what was found in the directory that a runtime reads its network configurations from."""
    about = str(directory)
    try:
        names = list_files(directory)
    except (FileNotFoundError, NotADirectoryError):
        return Finding("plugin", about, Outcome.OK, "not there: this is no Kubernetes node")
    except OSError as error:
        return Finding("plugin", about, Outcome.WARN, f"cannot be read: {error.strerror}", "ask as root")
    if not names:
        cure = "on a Kubernetes node: install the cluster's network first; a lab needs none"
        return Finding("plugin", about, Outcome.WARN, "no network list", cure)
    return Finding("plugin", about, Outcome.OK, f"{', '.join(names)}; a runtime uses the first")
