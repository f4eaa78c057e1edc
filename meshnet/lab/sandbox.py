"""A pod's sandbox: its network namespace, and its attachment by CNI."""

from __future__ import annotations

import contextlib
import os
import secrets
import uuid
from typing import TYPE_CHECKING

from meshnet.errors import KernelError
from meshnet.lab.cni_exec import Attachment
from meshnet.lab.places import NETNS
from meshnet.lab.underlay import up_loopback
from meshnet.netlink import netns
from meshnet.netlink.socket import Netlink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from meshnet.lab.podspec import PodSpec

_NAME_LENGTH = 100


class Sandbox:
    """A network namespace with a name, and what a runtime tells plugins about it.

    Attributes:
        container_id: 64 hexadecimal digits, never the same twice.
        path: the namespace's name under /run/netns. No descriptor of it is held: that would keep it alive when
            somebody takes the name away.
    """

    def __init__(self, pod: PodSpec) -> None:
        self.container_id = secrets.token_hex(32)
        name = f"cni-{pod.namespace}-{pod.name}"[:_NAME_LENGTH]
        self.path: Path = NETNS / f"{name}-{self.container_id[:8]}"
        self._arguments = ";".join(
            (
                "IgnoreUnknown=1",
                f"K8S_POD_NAMESPACE={pod.namespace}",
                f"K8S_POD_NAME={pod.name}",
                f"K8S_POD_INFRA_CONTAINER_ID={self.container_id}",
                f"K8S_POD_UID={uuid.uuid4()}",
            )
        )

    @property
    def attachment(self) -> Attachment:
        return Attachment(self.container_id, str(self.path), "eth0", self._arguments)

    def make(self) -> None:
        """Make the namespace, with `lo` up. Raises KernelError."""
        netns.new_netns(str(self.path))
        with self.opened() as fd, netns.entered(fd), Netlink.open() as inside:
            inside.run([up_loopback()])

    @contextlib.contextmanager
    def opened(self) -> Iterator[int]:
        """Give a descriptor of the namespace for the length of a ``with``. Raises KernelError when it is gone."""
        fd = netns.open_netns(str(self.path))
        try:
            yield fd
        finally:
            os.close(fd)

    def remove(self) -> None:
        """Let go of the namespace, which ends with the last process in it; idempotent."""
        with contextlib.suppress(KernelError):
            netns.delete_netns(str(self.path))
