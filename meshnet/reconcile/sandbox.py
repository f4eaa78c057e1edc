"""A sandbox: the network namespace of a pod on this node, and how it is entered."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, NamedTuple

import attrs

from meshnet.driver.api import Inside
from meshnet.errors import KernelError, RestartPod
from meshnet.netlink import Netlink
from meshnet.netlink.netns import open_netns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet.model.topology import PodKey
    from meshnet.reconcile.end import End

_NO_WAY_IN = frozenset({
    errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ESRCH, errno.ESTALE, errno.ENXIO, errno.ENODEV,
    errno.EACCES, errno.EPERM,
})  # fmt: skip
"""Say of a namespace's path that it leads nowhere, or not for this daemon. Others, as of descriptors that have run out,
say nothing of the namespace."""


class SandboxKey(NamedTuple):
    """What CNI calls an attachment: the network's name, the container's ID, the primary interface's name."""

    network: str
    container_id: str
    ifname: str


@attrs.define(eq=False)
class Sandbox:
    """A pod's network namespace, from its ADD to its DEL. It is the pod's inside for drivers, too.

    Attributes:
        key: as CNI names it.
        namespace, pod: whose it is; both ``""`` when the runtime told no pod.
        pod_uid: the pod's own uid, or ``""``.
        netns: path of the network namespace.
        netns_id: (device, inode) of it, since a path can come to mean another one.
        nsid: its number in the node's namespace.
        epoch: of the claim on its pod.
        claimed: uid of the Topology whose epochs that is one of, ``""`` while it has claimed none; None when that is
            not known: its checkpoint is lost, or of an older daemon.
        ends: by interface, of every link that the pod has an interface for.
        handed: the open inside, while its ADD lasts.
    """

    key: SandboxKey
    namespace: str
    pod: str
    pod_uid: str
    netns: str
    netns_id: tuple[int, int]
    nsid: int = -1
    epoch: int = 0
    claimed: str | None = ""
    ends: dict[str, End] = attrs.field(factory=dict, repr=False)
    handed: Inside | None = None

    @property
    def pod_key(self) -> PodKey:
        return self.namespace, self.pod

    @contextlib.contextmanager
    def enter(self) -> Iterator[Inside]:
        """Open the pod's namespace for a moment. Raises RestartPod when that is not possible any more, KernelError."""
        if self.handed is not None:
            yield self.handed
            return
        try:
            fd = open_netns(self.netns)
        except KernelError as error:
            if error.errno not in _NO_WAY_IN:
                raise
            raise RestartPod(f"the pod's network namespace cannot be entered again: {error}") from error
        try:
            with self._open(fd) as inside:
                yield inside
        finally:
            os.close(fd)

    @contextlib.contextmanager
    def _open(self, fd: int) -> Iterator[Inside]:
        if netns_id(fd) != self.netns_id:
            raise RestartPod(f"{self.netns} is another network namespace than the pod's by now")
        try:
            netlink = Netlink.open(fd)
        except KernelError as error:
            if error.errno not in (errno.EPERM, errno.EACCES):
                raise
            raise RestartPod("this daemon may not enter network namespaces (CAP_SYS_ADMIN)") from error
        with netlink:
            yield Inside(fd, netlink)

    def seen(self) -> bool | None:
        """Tell what the namespace's path says: it is there (True), it has ended (False), or nothing (None).

        It says nothing where this daemon cannot see what the runtime sees: without the directory, or without what is
        mounted in it.
        """
        try:
            stat = os.stat(self.netns)
        except FileNotFoundError:
            return False if os.path.isdir(os.path.dirname(self.netns)) else None
        except OSError:
            return None
        if (stat.st_dev, stat.st_ino) == self.netns_id:
            return True
        return False if stat.st_dev == self.netns_id[0] else None  # another namespace has the name, or no namespace


def netns_id(fd: int) -> tuple[int, int]:
    """Return what identifies the namespace of an open descriptor."""
    stat = os.fstat(fd)
    return stat.st_dev, stat.st_ino
