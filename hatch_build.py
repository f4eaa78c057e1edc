"""Build hook: compiles the CNI plugin into the wheel.

With a C compiler the wheel is for this architecture and holds a static program; without one it is pure, and
`meshnet.cni.plugin` falls back to the Python front.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SOURCE = Path("meshnet/cni/plugin.c")
PROGRAM = Path("meshnet/cni/bin/meshnet")
FLAGS = ("-std=gnu11", "-static", "-Os", "-s", "-Wall", "-Wextra", "-Werror")
COMPILE_TIMEOUT_S = 60
ARCHITECTURES = ("aarch64", "armv7l", "i686", "ppc64le", "riscv64", "s390x", "x86_64")
"""For which installers know of glibc's and musl's systems."""


def compile_plugin(source: Path, program: Path) -> bool:
    """Compile `source` to the static `program`, with musl where there is one; whether there is a program now.

    A compiler that fails is tried no further and the next one is: musl-gcc, ``$CC``, cc. `program` is replaced in
    one step, since a running one cannot be written to.
    """
    program.parent.mkdir(parents=True, exist_ok=True)
    fresh = program.with_suffix(".new")
    for compiler in filter(None, ("musl-gcc", os.environ.get("CC"), "cc")):
        if shutil.which(compiler) is None:
            continue
        command = [compiler, *FLAGS, "-o", str(fresh), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILE_TIMEOUT_S, check=False)
        if done.returncode == 0:
            fresh.replace(program)
            return True
        sys.stderr.write(f"{compiler} cannot build the CNI plugin:\n{done.stderr}")
    return False


def platform_tags() -> str:
    """Return where the wheel can be installed: a static program needs no libc, so with old ones, and with either.

    An index of packages takes no wheel that is for ``linux``, of which nobody knows what it needs.
    """
    platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    architecture = platform.removeprefix("linux_")
    if architecture not in ARCHITECTURES:
        return platform
    return f"manylinux_2_17_{architecture}.musllinux_1_1_{architecture}"


class PluginBuildHook(BuildHookInterface[Any]):
    """Adds the compiled plugin and the platform's tags to a wheel, editable ones included."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002 — hatchling's signature
        root = Path(self.root)
        # The one that is there may be in use, by a lab of this checkout: it stays until another takes its place.
        if not sys.platform.startswith("linux") or not compile_plugin(root / SOURCE, root / PROGRAM):
            (root / PROGRAM).unlink(missing_ok=True)  # one of another machine must not get in
            return
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{platform_tags()}"
        build_data["artifacts"].append(str(PROGRAM))
