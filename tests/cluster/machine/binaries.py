"""The cluster's programs, built once for each state of their modules and kept in the user's cache."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.machine.errors import CannotHereError, ClusterError
from tests.cluster.machine.programs import BUILDS, MODULES
from tests.cluster.machine.toolchain import Go, find_go

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.programs import Build

BUILD_S = 3000.0
"""How long one call of ``go build`` may take, its downloads included: kube takes five minutes on two idle cores."""
_SAY_EVERY_S = 30.0


def cache_home() -> Path:
    """Where this project keeps what takes long to make."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "meshnet"


@dataclass(frozen=True)
class Binaries:
    """Where each program is; a module's programs have a directory of their own."""

    kube_home: Path
    etcd_home: Path
    containerd_home: Path

    @property
    def kube(self) -> Path:
        """Kubernetes' programs, chosen by the first argument."""
        return self.kube_home / "kube"

    @property
    def kubectl(self) -> Path:
        """In a directory of its own, fit for ``PATH``."""
        return self.kube_home / "bin" / "kubectl"

    @property
    def etcd(self) -> Path:
        return self.etcd_home / "etcd"

    @property
    def containerd(self) -> Path:
        return self.containerd_home / "containerd"

    @property
    def ctr(self) -> Path:
        return self.containerd_home / "ctr"

    @property
    def cnitool(self) -> Path:
        return self.containerd_home / "cnitool"

    @property
    def cni_plugins(self) -> Path:
        """A directory of CNI plugins."""
        return self.containerd_home / "cni"


def find_binaries(*, may_build: bool, cache: Path | None = None) -> Binaries:
    """Return the programs, built now where they are missing and `may_build`.

    Raises:
        CannotHereError: they are not there and may not be built, or there is no Go toolchain.
        ClusterError: the build failed.
    """
    go = find_go()
    cache = (cache or cache_home()) / "cluster"
    homes = {name: cache / f"{name}-{_digest(name, go)}" for name in BUILDS}
    missing = [name for name, home in homes.items() if not home.is_dir()]
    if missing and not may_build:
        raise CannotHereError(f"the cluster's programs ({', '.join(missing)}) are not built: make cluster-programs")
    for name in missing:
        _make(name, homes[name], go)
    return Binaries(homes["kube"], homes["etcd"], homes["containerd"])


def _digest(name: str, go: Go) -> str:
    """What the programs of a module are made of, in short."""
    digest = hashlib.sha256(f"{go.version} {BUILDS[name]}".encode())
    for path in sorted((MODULES / name).iterdir()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _make(name: str, home: Path, go: Go) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    with _alone(home.parent / f"{name}.lock"):
        if home.is_dir():
            return
        fresh = home.with_name(f"{home.name}.new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir()
        for build in BUILDS[name]:
            _build(MODULES / name, build, fresh, go)
        if name == "kube":
            (fresh / "bin").mkdir()
            (fresh / "bin" / "kubectl").symlink_to("../kube")
        fresh.rename(home)


@contextmanager
def _alone(lock: Path) -> Iterator[None]:
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(module: Path, build: Build, home: Path, go: Go) -> None:
    """Run one ``go build``, and say every half minute that it still runs."""
    command = [go.program, "build", *build.flags(), "-o", f"{home}/{build.output}", *build.packages]
    what = f"{module.name}: {build.output}"
    began = time.monotonic()
    with (home.parent / f"{module.name}.log").open("w") as log:
        builder = subprocess.Popen(command, cwd=module, env=go.environment, stdout=log, stderr=log)
        while builder.poll() is None:
            passed = time.monotonic() - began
            if passed > BUILD_S:
                builder.kill()
                builder.wait()
                raise ClusterError(f"{what} is not built after {BUILD_S:g} s: {log.name}")
            print(f"building {what} with {go.version}, once: {passed:.0f} s", file=sys.stderr, flush=True)
            _wait(builder, _SAY_EVERY_S)
    if builder.returncode:
        raise ClusterError(f"{what} cannot be built: {Path(log.name).read_text()[-2000:]}")


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
