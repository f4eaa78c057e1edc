"""Splicing: what stands in front of a port's drop, changed without a gap."""

from __future__ import annotations

import contextlib
import errno
import os
from typing import TYPE_CHECKING, Final

from meshnet.driver.api import Device, Port
from meshnet.errors import KernelError
from meshnet.netlink import BatchError, Redirect, bpf, links, tc
from meshnet.netlink.ifla import IFF_RUNNING
from meshnet.panel.make import alias_of, seal
from meshnet.panel.read import pod_end_flags, read_link

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshnet.driver.api import Splice
    from meshnet.netlink import Netlink
    from meshnet.netlink.ethtool import Ethtool
    from meshnet.panel.port import PanelPort

MIRRED: Final = "mirred"
REDIRECT_PEER: Final = "redirect_peer"


@contextlib.contextmanager
def unless_gone() -> Iterator[None]:
    """Let what a port that is gone refuses pass: it needs nothing any more, and its own event tells of its end."""
    try:
        yield
    except KernelError as error:
        if error.errno != errno.ENODEV:
            raise


class Splicer:
    """Changes what a port forwards to, its offloads and its admin state; remembers nothing beyond the port itself."""

    def __init__(self, netlink: Netlink, ethtool: Ethtool, *, redirect_peer: bool) -> None:
        self._netlink = netlink
        self._ethtool = ethtool
        self._redirect_peer = redirect_peer

    def splice(self, port: PanelPort, splice: Splice | None, *, offload: bool = False) -> None:
        """Forward what the pod sends to `splice`; None or a `Socket` leaves the drop alone in place.

        Nothing is asked of the kernel when it is so already.
        """
        if not port.sealed:
            self._seal(port)
        if not port.marked:
            self.relabel(port, port.uid)
        if port.offload != offload:
            self._ethtool.set_tx_checksum(port.name, on=offload)
            port.offload = offload
        wanted = self._wanted(splice, offload=offload)
        if wanted == port.redirect:
            return
        if wanted is None:
            self._remove(port)
        elif wanted.method == MIRRED:
            self._mirred(port, wanted)
        else:
            self._bpf(port, wanted)
        port.redirect = wanted

    def set_gso_ipv4_max_size(self, port: PanelPort, size: int) -> None:
        """Set how long a frame of TCP over IPv4 may be for the kernel to cut at the port. Raises KernelError."""
        self._netlink.run([links.set_link(port.ifindex, gso_ipv4_max_size=size)])
        port.gso_ipv4_max_size = size

    def set_up(self, port: PanelPort, *, up: bool) -> bool:
        """Give the pod's end carrier, or take it away, as `set_all_up` does."""
        return self.set_all_up([(port, up)])

    def set_all_up(self, wanted: Sequence[tuple[PanelPort, bool]]) -> bool:
        """Give or take the carrier of several in one go; one that is gone needs none. Raises KernelError.

        A pod's kernel is told of a change, and acts on it, a while later: of a carrier that comes back at once it would
        never know that it was lost, and its neighbours' addresses would stay those of another peer. So carrier that
        was taken is given again when that was seen. Returns False when one has to wait for it; to be tried again.
        """
        changes = [(port, up) for port, up in wanted if port.up != up]
        self._look_at_fading([port for port, up in changes if up and port.fading])
        ready = [(port, up) for port, up in changes if not (up and port.fading)]
        self._set_all_up(ready)
        return len(ready) == len(changes)

    def _look_at_fading(self, ports: Sequence[PanelPort]) -> None:
        """Find out whose loss of carrier the pod's kernel has seen. From Linux 6.8 on the question has it do so."""
        if not ports:
            return
        for port, flags in zip(ports, pod_end_flags(self._netlink, ports), strict=True):
            port.fading = bool(flags & IFF_RUNNING)

    def _set_all_up(self, changes: Sequence[tuple[PanelPort, bool]]) -> None:
        failures: dict[int, KernelError] = {}
        if changes:
            try:
                self._netlink.run([links.set_link(port.ifindex, up=up) for port, up in changes])
            except BatchError as error:
                failures = dict(error.failures)
        for position, (port, up) in enumerate(changes):
            if position not in failures:
                port.up, port.fading = up, not up
        for failure in failures.values():
            with unless_gone():
                raise failure

    def relabel(self, port: PanelPort, uid: int) -> None:
        """Mark the port as the end of a link of its interface: another one, or the same where the mark was replaced."""
        port.uid = uid
        self._netlink.run([links.set_link(port.ifindex, alias=alias_of(port))])
        port.marked = True

    def exists(self, ifindex: int) -> bool:
        """Tell whether the node has a device of that index. Raises KernelError when that cannot be told."""
        return read_link(self._netlink, ifindex) is not None

    def _seal(self, port: PanelPort) -> None:
        """Put back what somebody took away of the drops."""
        self._netlink.run_tolerating(seal(port), errno.EEXIST)
        port.sealed = True

    def _wanted(self, splice: Splice | None, *, offload: bool) -> Redirect | None:
        """Return the redirect for a splice. Only a port has a peer to redirect to."""
        if isinstance(splice, Port):
            return Redirect(REDIRECT_PEER if offload and self._redirect_peer else MIRRED, splice.ifindex)
        if isinstance(splice, Device):
            return Redirect(MIRRED, splice.ifindex)
        return None

    def _remove(self, port: PanelPort) -> None:
        """Remove the redirect that a port had; gone already, by itself or with all filters, is success."""
        if port.redirect is None:
            return
        mirred = port.redirect.method == MIRRED
        removal = tc.remove_redirect(port.ifindex) if mirred else tc.remove_redirect_peer(port.ifindex)
        self._netlink.run_tolerating([removal], errno.ENOENT, errno.EINVAL)

    def _mirred(self, port: PanelPort, wanted: Redirect) -> None:
        self._netlink.run([tc.redirect(port.ifindex, wanted.ifindex)])
        if port.redirect and port.redirect.method == REDIRECT_PEER:
            self._remove(port)

    def _bpf(self, port: PanelPort, wanted: Redirect) -> None:
        program = bpf.load_redirect_peer(wanted.ifindex)
        try:
            self._netlink.run([tc.redirect_peer(port.ifindex, wanted.ifindex, program)])
        finally:
            os.close(program)
        if port.redirect and port.redirect.method == MIRRED:
            self._remove(port)
