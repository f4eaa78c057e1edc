"""A lone API server with its etcd: no controllers, no nodes. Up in seconds; needs no root."""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster.machine import control, logs
from tests.cluster.machine.boot import SYSTEM_PATH, boot
from tests.cluster.machine.client import Client
from tests.cluster.machine.commands import wait_for
from tests.cluster.machine.control_plane import PORT, ControlPlane
from tests.cluster.machine.daemons import Machine
from tests.cluster.machine.errors import ClusterError
from tests.cluster.machine.init import CONTROL
from tests.cluster.machine.kubeconfig import write_kubeconfig, write_token_kubeconfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.machine.binaries import Binaries
    from tests.cluster.machine.certificates import Authority

READY_S = 240.0


class ApiServer(Client):
    """An API server that runs; a client of it as its administrator (group ``system:masters``).

    RBAC, the Node authorizer and NodeRestriction are on. There are no controllers: a namespace has no service account
    ``default`` unless a test makes it, and stays in ``Terminating``; finalizers and owner references have no effect.
    It listens on a loopback port of whoever started it.
    """

    def __init__(self, plane: ControlPlane, authority: Authority, port: int) -> None:
        self.url = f"https://127.0.0.1:{port}"
        self.ca = authority.certificate
        self.plane = plane
        self.authority = authority
        config = plane.directory / "admin.kubeconfig"
        write_kubeconfig(config, self.url, self.ca, plane.keys / "admin.crt")
        super().__init__(config, plane.binaries.kubectl, plane.directory)

    def user(self, name: str, *groups: str) -> Client:
        """Return a client who proves by certificate to be `name` in `groups`."""
        stem = f"user-{len(list(self.plane.directory.glob('*.kubeconfig')))}"
        config = self.plane.directory / f"{stem}.kubeconfig"
        certificate = self.authority.issue(stem, name, groups)
        return Client(write_kubeconfig(config, self.url, self.ca, certificate), self.kubectl_program, self.home)

    def bearer(self, token: str) -> Client:
        """Return a client who comes with a token."""
        config = self.plane.directory / f"token-{len(list(self.plane.directory.glob('*.kubeconfig')))}.kubeconfig"
        return Client(write_token_kubeconfig(config, self.url, self.ca, token), self.kubectl_program, self.home)

    def is_ready(self) -> bool:
        """Whether it answers, and has made the roles and namespaces that it starts with."""
        return self.try_kubectl("get", "--raw=/readyz", "--request-timeout=5s").stdout == "ok"

    def wait_ready(self) -> None:
        """Wait until it is ready.

        Raises:
            ClusterError: it is not in time; the text has the end of its logs.
        """
        try:
            wait_for(self.is_ready, "the API server to be ready", READY_S)
        except ClusterError as error:
            raise ClusterError(f"{error}{logs.ends(self.plane.directory)}") from error

    def request(self, what: str, daemon: str = "apiserver") -> str:
        """Do something to ``apiserver`` or ``etcd``: see `Supervisor.request`.

        A client of a server that is away sees its connection reset; one that is frozen says nothing.
        """
        return control.ask(self.plane.directory / CONTROL, what, daemon)

    @contextmanager
    def away(self) -> Iterator[None]:
        """Have the API server away, by SIGKILL, for the time of the block; then wait until it is ready again."""
        self.request("cut")
        try:
            yield
        finally:
            self.request("start")
            self.wait_ready()

    def audit(self) -> list[dict[str, Any]]:
        """Return every request that was answered so far, in order, as audit events. It was started with ``audit``."""
        return [json.loads(line) for line in self.plane.audit_log.read_text().splitlines()]


@contextmanager
def lone_api_server(binaries: Binaries, *, audit: bool = False) -> Iterator[ApiServer]:
    """Have an API server for the time of the block; it ends, too, when this process is killed.

    Args:
        binaries: what it runs.
        audit: whether it logs all requests; a log of hundreds of bytes for each.

    Raises:
        ClusterError: it does not become ready; the text has why.
    """
    # not in pytest's directory: a path of a socket has less than 108 bytes
    directory = Path(tempfile.mkdtemp(prefix="meshnet-api-"))
    try:
        plane = ControlPlane(directory, binaries, audit=audit, nodes=False)
        authority = plane.make_keys()
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            served = (listener.fileno(), PORT)
            machine = Machine("api", str(directory), plane.daemons(), *served, lifeline=True, temporary=True)
            booted = boot(machine, _namespaces(), path=SYSTEM_PATH)
        try:
            server = ApiServer(plane, authority, port)
            server.wait_ready()
            yield server
        finally:
            booted.end()
    finally:
        shutil.rmtree(directory)


def _namespaces() -> list[str]:
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--net", "--pid", "--fork", "--kill-child"]
