"""The programs of the cluster: which Go module makes which, from what, with what flags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

MODULES = Path(__file__).parents[1] / "modules"
KUBERNETES = "v1.34.4"
CONTAINERD = "2.2.9"

_KUBE_VERSION = "k8s.io/component-base/version"
_CONTAINERD = "github.com/containerd/containerd/v2"
_PLUGINS = "github.com/containernetworking/plugins/plugins"
_PLUGIN_PACKAGES = ("main/bridge", "main/ptp", "main/loopback", "meta/portmap", "ipam/host-local")


@dataclass(frozen=True)
class Build:
    """One call of ``go build``: its packages, and where the programs go, below the module's directory of the cache."""

    packages: tuple[str, ...]
    output: str = ""
    tags: str = ""
    values: tuple[str, ...] = ()

    def flags(self) -> list[str]:
        """Arguments of ``go build`` but for its output and packages."""
        link = " ".join(["-s -w", *(f"-X {value}" for value in self.values)])
        return ["-trimpath", "-ldflags", link, *(["-tags", self.tags] if self.tags else [])]


_NO_HEADERS = "no_btrfs no_devmapper no_zfs no_aufs urfave_cli_no_docs"
_CONTAINERD_VERSION = (f"{_CONTAINERD}/version.Version={CONTAINERD}",)

BUILDS: dict[str, tuple[Build, ...]] = {
    "etcd": (Build(("go.etcd.io/etcd/server/v3",), "etcd"),),
    "kube": (
        Build(
            (".",),
            "kube",
            values=(
                f"{_KUBE_VERSION}.gitVersion={KUBERNETES}",
                f"{_KUBE_VERSION}.gitMajor=1",
                f"{_KUBE_VERSION}.gitMinor={KUBERNETES.split('.')[1]}",
            ),
        ),
    ),
    "containerd": (
        *(
            Build((f"{_CONTAINERD}/cmd/{name}",), name, _NO_HEADERS, _CONTAINERD_VERSION)
            for name in ("containerd", "containerd-shim-runc-v2", "ctr")
        ),
        Build(("github.com/containernetworking/cni/cnitool",), "cnitool"),
        Build(tuple(f"{_PLUGINS}/{name}" for name in _PLUGIN_PACKAGES), "cni/"),
    ),
}
