"""What a node has on its disk when it boots for the first time: keys, and the configuration of its daemons."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster.machine.addresses import CONTROL_PLANE, DNS_ADDRESS, PODS, node_address, pods_of
from tests.cluster.machine.control_plane import PORT
from tests.cluster.machine.daemons import Daemon
from tests.cluster.machine.filesystem import OWN_DISKS
from tests.cluster.machine.images import PAUSE
from tests.cluster.machine.kubeconfig import write_kubeconfig

if TYPE_CHECKING:
    from tests.cluster.machine.binaries import Binaries
    from tests.cluster.machine.certificates import Authority

OWN = (
    "/etc/cni",
    "/opt/cni",
    "/etc/containerd",
    "/etc/kubernetes",
    "/var/lib/cni",
    "/var/log/pods",
    "/var/log/containers",
)
"""Directories in which a node starts with nothing of this machine's."""
CONFLIST = "/etc/cni/net.d/10-primary.conflist"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"
_DISK_SIGNALS = ("nodefs.available", "nodefs.inodesFree", "imagefs.available")
_OPAQUE = "trusted.overlay.opaque"
_KUBERNETES = "/etc/kubernetes"
CONTAINERD_CONFIG = f"""version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.blockfile", "io.containerd.snapshotter.v1.erofs",
  "io.containerd.nri.v1.nri", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{CONTAINERD_SOCKET}"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{PAUSE}"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  # runc may not set what needs CAP_SYS_RESOURCE, where root has not got that
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
[plugins."io.containerd.cri.v1.runtime".containerd]
  default_runtime_name = "runc"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  BinaryName = "runc"
  SystemdCgroup = false
"""


def node_name(number: int) -> str:
    return f"n{number}"


def daemons(number: int, binaries: Binaries) -> tuple[Daemon, ...]:
    """Return what runs on a node."""
    kube, config = str(binaries.kube), f"--kubeconfig={_KUBERNETES}/kubelet.conf"
    named = (f"--hostname-override={node_name(number)}", f"--node-ip={node_address(number)}")
    kubelet = (kube, "kubelet", f"--config={_KUBERNETES}/kubelet.json", config, *named, "--v=2")
    return (
        Daemon("containerd", (str(binaries.containerd), "--config=/etc/containerd/config.toml")),
        Daemon("kubelet", kubelet, needs=CONTAINERD_SOCKET),
        Daemon("proxy", (kube, "proxy", f"--config={_KUBERNETES}/proxy.json")),
    )


def write_disk(disk: Path, number: int, binaries: Binaries, authority: Authority) -> None:
    """Make the disk of a node.

    Args:
        disk: the directory that `filesystem.set_up` makes the node's file system of.
        number: the node's, counted from 1.
        binaries: where CNI plugins are.
        authority: signs the node's certificates.
    """
    upper = disk / "upper"
    for directory in (*(disk / Path(own).name for own in OWN_DISKS), disk / "work", upper):
        directory.mkdir(parents=True)
    for own in OWN:
        _inside(upper, own).mkdir(parents=True)
        os.setxattr(_inside(upper, own), _OPAQUE, b"y")
    for path, text in _texts(number).items():
        _inside(upper, path).parent.mkdir(parents=True, exist_ok=True)
        _inside(upper, path).write_text(text)
    shutil.copytree(binaries.cni_plugins, _inside(upper, "/opt/cni/bin"))
    _write_keys(_inside(upper, _KUBERNETES), number, authority)


def _inside(upper: Path, path: str) -> Path:
    return upper / path.lstrip("/")


def _texts(number: int) -> dict[str, str]:
    name = node_name(number)
    return {
        "/etc/hostname": f"{name}\n",
        "/etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {name}\n",
        "/etc/resolv.conf": f"nameserver {DNS_ADDRESS}\n",
        "/etc/machine-id": hashlib.sha256(name.encode()).hexdigest()[:32] + "\n",
        "/etc/containerd/config.toml": CONTAINERD_CONFIG,
        CONFLIST: json.dumps(_conflist(number), indent=2),
        f"{_KUBERNETES}/kubelet.json": json.dumps(_kubelet(), indent=1),
        f"{_KUBERNETES}/proxy.json": json.dumps(_proxy(name), indent=1),
    }


def _write_keys(directory: Path, number: int, authority: Authority) -> None:
    name, server = node_name(number), f"https://{CONTROL_PLANE}:{PORT}"
    user = f"system:node:{name}"
    client = authority.issue(name, user, ("system:nodes",))
    serving = authority.issue(f"{name}-serving", user, ("system:nodes",), (f"DNS:{name}", f"IP:{node_address(number)}"))
    proxy = authority.issue(f"{name}-proxy", "system:kube-proxy")
    write_kubeconfig(directory / "kubelet.conf", server, authority.certificate, client)
    write_kubeconfig(directory / "proxy.conf", server, authority.certificate, proxy)
    for source, target in ((authority.certificate, "ca.crt"), (serving, "serving.crt")):
        shutil.copy(source, directory / target)
    shutil.copy(serving.with_suffix(".key"), directory / "serving.key")


def _conflist(number: int) -> dict[str, Any]:
    """The network of every pod: a bridge of the node, routed to the others without any translation."""
    ipam = {"type": "host-local", "ranges": [[{"subnet": pods_of(number)}]]}
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isDefaultGateway": True,
        "hairpinMode": True,
        "mtu": 1500,
        "ipam": ipam,
    }
    portmap = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True, "backend": "nftables"}
    return {"cniVersion": "1.1.0", "name": "primary", "plugins": [bridge, portmap]}


def _kubelet() -> dict[str, Any]:
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{_KUBERNETES}/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{_KUBERNETES}/serving.crt",
        "tlsPrivateKeyFile": f"{_KUBERNETES}/serving.key",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": "/",
        "failCgroupV1": False,
        "failSwapOn": False,
        "resolvConf": "/etc/resolv.conf",
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "volumePluginDir": "/var/lib/kubelet/volumeplugins",
        # the disk is this machine's: however full that is, it is nothing to the node
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "50Mi", **dict.fromkeys(_DISK_SIGNALS, "0%")},
        "serializeImagePulls": False,
        "nodeStatusUpdateFrequency": "4s",
        "nodeLeaseDurationSeconds": 12,
    }


def _proxy(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": name,
        "clusterCIDR": PODS,
        "clientConnection": {"kubeconfig": f"{_KUBERNETES}/proxy.conf"},
        # settings of the whole kernel, which cannot be written from a network namespace
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "nftables": {"minSyncPeriod": "100ms"},
    }
