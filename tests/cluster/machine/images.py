"""The images that every cluster has: a sandbox's, and one with tools for tests' pods."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hatch_build import compile_plugin
from tests.cluster.machine import oci
from tests.cluster.machine.commands import run
from tests.cluster.machine.errors import CannotHereError

if TYPE_CHECKING:
    from tests.cluster.machine.oci import Entry

SOURCES = Path(__file__).parents[1] / "images"
PAUSE = "localhost/pause:1"
"""The sandbox's image."""
TOOLS = "localhost/tools:1"
"""The image for tests' pods: busybox with all its programs (sh, ip, ping, …). Without a command it just stays."""
BUSYBOX = Path("/bin/busybox")


def write_images(directory: Path) -> list[Path]:
    """Write the archives of `PAUSE` and `TOOLS` into a directory, and return their paths.

    Raises:
        CannotHereError: there is no C compiler, or no busybox.
    """
    program = directory / "pause"
    if not compile_plugin(SOURCES / "pause.c", program):
        raise CannotHereError("no C compiler that can link statically here: install gcc")
    pause = oci.file("pause", program.read_bytes(), 0o755)
    sandbox = {"Entrypoint": ["/pause"], "User": "65535:65535"}
    tools = {"Cmd": ["/pause"], "Env": ["PATH=/bin"]}
    return [
        oci.write_archive(directory / "pause.tar", PAUSE, [pause], sandbox),
        oci.write_archive(directory / "tools.tar", TOOLS, [pause, *_busybox()], tools),
    ]


def _busybox() -> list[Entry]:
    if not BUSYBOX.exists():
        raise CannotHereError("no busybox here: install busybox-static")
    places = [oci.directory("bin"), oci.directory("etc"), oci.directory("tmp", 0o1777)]
    users = oci.file("etc/passwd", b"root:x:0:0::/:/bin/sh\n")
    program = oci.file("bin/busybox", BUSYBOX.read_bytes(), 0o755)
    names = [name for name in run([BUSYBOX, "--list"]).split() if name != "busybox"]
    return [*places, users, program, *(oci.symlink(f"bin/{name}", "busybox") for name in names)]
