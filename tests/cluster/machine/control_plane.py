"""The daemons of a control plane, with the flags that a test cluster needs."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.cluster.machine.addresses import CONTROL_PLANE, PODS, SERVICE_ADDRESS, SERVICES
from tests.cluster.machine.certificates import Authority, make_token_key
from tests.cluster.machine.daemons import Daemon
from tests.cluster.machine.kubeconfig import write_kubeconfig

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.machine.binaries import Binaries

PORT = 6443
"""Of the API server."""
ISSUER = "https://kubernetes.default.svc.cluster.local"
_ETCD = "http://127.0.0.1:2379"
_ETCD_PEER = "http://127.0.0.1:2380"
_LOCAL = f"https://127.0.0.1:{PORT}"
_NAMES = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
)
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
_LIMITED = {
    "resource": "pods",
    "matchScopes": [
        {
            "scopeName": "PriorityClass",
            "operator": "In",
            "values": ["system-node-critical", "system-cluster-critical"],
        }
    ],
}
ADMISSION = {
    "apiVersion": "apiserver.config.k8s.io/v1",
    "kind": "AdmissionConfiguration",
    "plugins": [
        {
            "name": "ResourceQuota",
            "configuration": {
                "apiVersion": "apiserver.config.k8s.io/v1",
                "kind": "ResourceQuotaConfiguration",
                "limitedResources": [_LIMITED],
            },
        }
    ],
}
"""The system's priority classes are for pods under a quota that names them alone, as on GKE."""


@dataclass(frozen=True)
class ControlPlane:
    """A control plane's files and flags.

    Attributes:
        directory: holds keys, certificates, etcd's data and logs, by the same path inside the machine and outside.
        audit: whether every request is logged to ``audit.log``.
        nodes: whether it has nodes: its API server asks kubelets, and tells where it is.
    """

    directory: Path
    binaries: Binaries
    audit: bool = False
    nodes: bool = True

    @property
    def keys(self) -> Path:
        return self.directory / "keys"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    @property
    def _audit_policy(self) -> Path:
        return self.directory / "audit-policy.json"

    @property
    def _admission(self) -> Path:
        return self.directory / "admission.json"

    def make_keys(self) -> Authority:
        """Make all that the daemons prove themselves with, and return the authority that everybody trusts."""
        self.keys.mkdir(mode=0o700)
        authority = Authority(self.keys)
        Authority(self.keys, "front-ca")
        addresses = (CONTROL_PLANE, SERVICE_ADDRESS, "127.0.0.1")
        sans = (*(f"DNS:{name}" for name in _NAMES), *(f"IP:{address}" for address in addresses))
        authority.issue("apiserver", "kube-apiserver", sans=sans)
        authority.issue("admin", "admin", ("system:masters",))
        make_token_key(self.keys)
        if self.nodes:
            authority.issue("kubelet-client", "apiserver-kubelet-client", ("system:masters",))
            for name in ("controller-manager", "scheduler"):
                certificate = authority.issue(name, f"system:kube-{name}")
                write_kubeconfig(self._config(name), _LOCAL, authority.certificate, certificate)
        self._audit_policy.write_text(json.dumps(AUDIT_POLICY))
        self._admission.write_text(json.dumps(ADMISSION))
        return authority

    def daemons(self) -> tuple[Daemon, ...]:
        lone = (self._etcd(), self._api_server())
        return (*lone, self._controller_manager(), self._scheduler()) if self.nodes else lone

    def _config(self, name: str) -> Path:
        return self.keys / f"{name}.conf"

    def _etcd(self) -> Daemon:
        flags = {
            "name": "cp",
            "data-dir": self.directory / "etcd",
            "listen-client-urls": _ETCD,
            "advertise-client-urls": _ETCD,
            "listen-peer-urls": _ETCD_PEER,
            "initial-advertise-peer-urls": _ETCD_PEER,
            "initial-cluster": f"cp={_ETCD_PEER}",
            "unsafe-no-fsync": "true",
            "log-level": "warn",
        }
        return Daemon("etcd", (str(self.binaries.etcd), *_flags(flags)))

    def _api_server(self) -> Daemon:
        keys = self.keys
        flags = {
            "etcd-servers": _ETCD,
            "advertise-address": CONTROL_PLANE,
            "bind-address": "0.0.0.0",
            "secure-port": PORT,
            "service-cluster-ip-range": SERVICES,
            "tls-cert-file": keys / "apiserver.crt",
            "tls-private-key-file": keys / "apiserver.key",
            "client-ca-file": keys / "ca.crt",
            "service-account-issuer": ISSUER,
            "service-account-signing-key-file": keys / "sa.key",
            "service-account-key-file": keys / "sa.pub",
            "authorization-mode": "Node,RBAC",
            "enable-admission-plugins": "NodeRestriction",
            "admission-control-config-file": self._admission,
            "allow-privileged": "true",
            "profiling": "false",
            "cert-dir": self.directory / "certs",
            **(self._of_nodes() if self.nodes else {"endpoint-reconciler-type": "none"}),
        }
        if self.audit:
            flags |= {"audit-log-path": self.audit_log, "audit-policy-file": self._audit_policy}
        command = (str(self.binaries.kube), "apiserver", *_flags(flags))
        return Daemon("apiserver", command, needs=f"{_ETCD}/health")

    def _of_nodes(self) -> dict[str, object]:
        """Flags of an API server that asks kubelets, and goes to pods: to webhooks, and to servers behind it."""
        keys = self.keys
        return {
            "kubelet-certificate-authority": keys / "ca.crt",
            "kubelet-client-certificate": keys / "kubelet-client.crt",
            "kubelet-client-key": keys / "kubelet-client.key",
            "kubelet-preferred-address-types": "InternalIP",
            # or it would go to Services' addresses, which nothing translates here
            "enable-aggregator-routing": "true",
            # without these the controller manager complains for ever
            "requestheader-client-ca-file": keys / "front-ca.crt",
            "requestheader-allowed-names": "front-proxy-client",
            "requestheader-username-headers": "X-Remote-User",
            "requestheader-group-headers": "X-Remote-Group",
            "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        }

    def _controller_manager(self) -> Daemon:
        keys = self.keys
        flags = {
            **self._client("controller-manager"),
            "root-ca-file": keys / "ca.crt",
            "client-ca-file": keys / "ca.crt",
            "service-account-private-key-file": keys / "sa.key",
            "cluster-signing-cert-file": keys / "ca.crt",
            "cluster-signing-key-file": keys / "ca.key",
            "use-service-account-credentials": "true",
            "allocate-node-cidrs": "false",
            "cluster-cidr": PODS,
            "service-cluster-ip-range": SERVICES,
            # by default controllers start 150 ms apart, and the first pod waits for the last
            "kube-api-qps": 300,
            "kube-api-burst": 600,
            "node-monitor-grace-period": "20s",
            "node-monitor-period": "2s",
            # else it makes a directory on the machine itself
            "flex-volume-plugin-dir": self.directory / "flexvolume",
        }
        return self._after_api_server("controller-manager", flags)

    def _scheduler(self) -> Daemon:
        return self._after_api_server("scheduler", self._client("scheduler"))

    def _client(self, name: str) -> dict[str, object]:
        config = self._config(name)
        users = ("kubeconfig", "authentication-kubeconfig", "authorization-kubeconfig")
        return {**dict.fromkeys(users, config), "bind-address": "127.0.0.1", "leader-elect": "false"}

    def _after_api_server(self, name: str, flags: dict[str, object]) -> Daemon:
        command = (str(self.binaries.kube), name, *_flags(flags))
        return Daemon(name, command, needs=f"{_LOCAL}/readyz", authority=str(self.keys / "ca.crt"))


def _flags(flags: dict[str, object]) -> tuple[str, ...]:
    return tuple(f"--{name}={value}" for name, value in flags.items())
