"""Furnishing: what of a link's spec is applied to the pod's own end, and only when the spec changes.

The pod's end is the pod's affair: its name, admin state, master and namespace are left alone, and it is found through
its port. The namespace itself is entered only for addresses and for interfaces that a running pod did not have.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import KernelError, LinkError, RestartPod
from meshnet.netlink import links
from meshnet.netlink.netns import nsid
from meshnet.panel.make import WITHOUT_IPV6, quieten
from meshnet.panel.port import PortWish
from meshnet.panel.read import read_link
from meshnet.reconcile.applied import applied_of, outstanding, without
from meshnet.reconcile.end import INTERFACE_MOVED, Applied, End
from meshnet.reconcile.inside import NO_IPV6, change_addresses, come_about, entered, give_addresses, moved_on
from meshnet.reconcile.rebuild import as_wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from meshnet.dispatch.resolve import Plan
    from meshnet.driver.api import Inside
    from meshnet.netlink import Netlink, Request
    from meshnet.panel.delete import Deleter
    from meshnet.panel.make import PortMaker
    from meshnet.panel.port import Made, PanelPort
    from meshnet.panel.splice import Splicer
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.table import Table

log = logging.getLogger(__name__)


class Furnisher:
    """Makes ports for ends and applies what changed of their spec.

    `saved` is called when a sandbox's checkpoint is out of date.
    """

    def __init__(
        self,
        *,
        netlink: Netlink,
        maker: PortMaker,
        splicer: Splicer,
        deleter: Deleter,
        table: Table,
        saved: Callable[[Sandbox], None],
    ) -> None:
        self._netlink = netlink
        self._maker = maker
        self._splicer = splicer
        self._deleter = deleter
        self._table = table
        self._saved = saved

    def make(self, sandbox: Sandbox, plans: Sequence[Plan], inside: Inside) -> list[End]:
        """Make the ends of a sandbox, with a port for each that needs one; what fails is in the end's reason."""
        ends = [End(plan.local, sandbox, applied_of(plan), plan=plan) for plan in plans]
        with_port = [end for end, plan in zip(ends, plans, strict=True) if not plan.direct]
        for end, made in zip(with_port, self._ports(with_port, inside), strict=True):
            _take(end, made)
        for end in ends:
            sandbox.ends[end.endpoint.interface] = end
        if sandbox.nsid < 0:
            # A veth into a namespace gives it a number; one without any is not heard until it gets one.
            sandbox.nsid = next((end.port.nsid for end in with_port if end.port), -1)
        if sandbox.nsid < 0:
            sandbox.nsid = nsid(self._netlink, inside.netns_fd)
        return ends

    async def apply(self, end: End, plan: Plan) -> None:
        """Apply to the pod's end what its spec changed. Raises LinkError, KernelError."""
        await self._attachment(end, plan)
        wanted = attrs.evolve(applied_of(plan), driver=end.applied.driver)
        before = as_wanted(end.applied, wanted)
        if plan.direct and await self._moved(end, plan):
            message = (
                f"{end.endpoint}: the pod has moved its interface to a network namespace of its own; it stays there"
            )
            raise LinkError(INTERFACE_MOVED, message, retry=False)
        if end.port is None and not plan.direct:
            return  # a direct interface whose driver went: it stays as it is
        if before is not end.applied:
            end.applied = before
            self._save(end.sandbox)
        done = self._bring(end, before, wanted)
        if end.port is not None:
            self._set_mtu(end.port, done.mtu)
        if done == wanted:
            end.outstanding = ""

    def _bring(self, end: End, before: Applied, wanted: Applied) -> Applied:
        """Bring an interface to what is wanted, and remember what it has then. Raises KernelError."""
        done = before if wanted == before else self._edit(end, before, wanted)
        if done != before:
            end.applied = done
            self._save(end.sandbox)
        return done

    def _edit(self, end: End, before: Applied, wanted: Applied) -> Applied:
        """Change an interface; return what of its spec it has then.

        The inside of a pod that cannot be entered stays as it is, and so does the cable: what has not come about is
        noted. Raises KernelError; what has come about nevertheless counts as applied.
        """
        try:
            refused = self._change_pod_end(end, before, wanted)
            end.outstanding = ""
        except RestartPod as error:
            refused = _refused_before(end)
            if without(wanted, refused) == before:
                end.outstanding = ""  # nothing new: the pod did not take them when it could be entered
            else:
                end.outstanding = outstanding(before, wanted, error)
                wanted, refused = attrs.evolve(before, uid=wanted.uid), end.refused or ()
        except KernelError:
            with contextlib.suppress(KernelError):
                end.applied = come_about(self._netlink, end, before, wanted)
                self._save(end.sandbox)
            raise
        if end.port is not None and wanted.uid != before.uid:
            self._splicer.relabel(end.port, wanted.uid)
        end.refused = refused
        return without(wanted, refused)

    def observe(self, end: End, plan: Plan, driver: str) -> None:
        """Read how the interface that a driver made is, and give it the addresses it has not got.

        Raises LinkError, KernelError.
        """
        sandbox = end.sandbox
        try:
            info = links.parse_link(self._netlink.ask(links.get_link(end.interface, nsid=sandbox.nsid)))
        except KernelError as error:
            raise LinkError(
                "InterfaceMissing", f"{end.endpoint}: its driver's interface cannot be read: {error}"
            ) from error
        end.interface_up = info.up
        wanted = attrs.evolve(applied_of(plan), driver=driver)
        if end.applied.driver != driver:
            with sandbox.enter() as inside:
                refused = give_addresses(inside.netlink, end.interface, plan.addresses, plan.mtu)
                inside.netlink.run([links.set_link(end.interface, up=True)])
            end.interface_up = True
            end.applied = without(wanted, refused)
            end.outstanding = ""
            self._save(sandbox)
        elif end.applied.addresses != plan.addresses:
            # Its driver has set the MTU by now: at 1280 the interface takes IPv6.
            self._bring(end, end.applied, wanted)

    async def remove(self, end: End) -> None:
        """Take an end's port away; a driver's own interface went with its unpatching.

        Raises KernelError; the end stays then, for the next try.
        """
        if end.port is not None:
            await self._delete(end, end.port)
        self._table.forget(end)
        if end.sandbox.ends.get(end.endpoint.interface) is end:
            del end.sandbox.ends[end.endpoint.interface]

    async def _delete(self, end: End, port: PanelPort) -> None:
        """Delete an end's port. Raises KernelError; it is the end's then as before."""
        self._table.detach(end)  # that it goes is no news
        try:
            await self._deleter.delete([port.ifindex])
        except KernelError:
            if self._table.end(end.endpoint) is end:
                self._table.enter(end)
            raise

    async def _attachment(self, end: End, plan: Plan) -> None:
        """See to it that the pod's interface is of the right make: a port, or left to the driver."""
        if plan.direct and end.port is not None:
            await self._delete(end, end.port)
            end.port = None
        elif not plan.direct and end.port is None and not end.interface:
            with end.sandbox.enter() as inside:
                end.applied = applied_of(plan)
                (made,) = self._ports([end], inside)
            if made.port is not None:
                _take(end, made)
                self._table.enter(end)
                self._save(end.sandbox)
            if made.error is not None and not _lacks_ipv6(made):
                raise refusal(made.error, end)

    async def _moved(self, end: End, plan: Plan) -> bool:
        """Tell whether the driver has made the interface already, and the pod has it somewhere else by now."""
        if plan.driver is None or end.applied.driver != plan.driver.name:
            return False
        if end.interface and read_link(self._netlink, end.interface, end.nsid) is not None:
            return False
        with end.sandbox.enter() as inside:
            if inside is end.sandbox.handed:  # its socket is for other ends, too, and not for two threads
                return moved_on(inside, end.endpoint)
            return await asyncio.to_thread(moved_on, inside, end.endpoint)

    def _save(self, sandbox: Sandbox) -> None:
        if self._table.has(sandbox):  # else it was removed meanwhile, with its checkpoint
            self._saved(sandbox)

    def _ports(self, ends: Sequence[End], inside: Inside) -> list[Made]:
        return self._maker.make([_wish(end) for end in ends], inside)

    def _set_mtu(self, port: PanelPort, mtu: int) -> None:
        """Have a port take what its pod sends, also when somebody else has changed it."""
        if port.mtu != mtu:
            # At 1280 a port gets its IPv6 back, which speaks for itself again.
            self._netlink.run_tolerating([links.set_link(port.ifindex, mtu=mtu), quieten(port)], WITHOUT_IPV6)
            port.mtu = mtu

    def _change_pod_end(self, end: End, before: Applied, wanted: Applied) -> Sequence[str]:
        """Change the pod's end in its namespace; a driver's own interface has its MTU and MAC from the driver.

        Return the addresses that the pod does not take.
        """
        index = end.pod_ifindex
        changes = [] if end.port is None else _link_changes(index, before, wanted)
        gone = [cidr for cidr in before.addresses if cidr not in wanted.addresses]
        new = [cidr for cidr in wanted.addresses if cidr not in before.addresses]
        if not index or not (changes or gone or new):
            return ()
        with entered(self._netlink, end) as inside:
            if changes:
                inside.netlink.run(changes)
            return change_addresses(inside.netlink, index, gone, new, wanted.mtu)


def _refused_before(end: End) -> Sequence[str]:
    """Return the addresses that the pod did not take; after a restart all of IPv6 that its end has not got."""
    if end.refused is not None or end.generation or end.plan is None:
        return end.refused or ()
    return [cidr for cidr in end.plan.addresses if ":" in cidr and cidr not in end.applied.addresses]


def _link_changes(index: int, before: Applied, wanted: Applied) -> list[Request]:
    changes = []
    if wanted.mtu != before.mtu:
        changes.append(links.set_link(index, mtu=wanted.mtu))
    if wanted.mac != before.mac:
        changes.append(links.set_link(index, mac=wanted.mac))
    return changes


def refusal(error: KernelError, end: End) -> LinkError:
    """Return why a port could not be made, in the words of a link."""
    if error.errno == errno.EEXIST:
        return LinkError("NameTaken", f"{end.endpoint}: the pod has an interface of that name already")
    return LinkError("KernelRefused", f"{end.endpoint}: {error}")


def _take(end: End, made: Made) -> None:
    end.port = made.port
    if made.error is not None:
        if made.port is not None:
            # Which of its addresses the pod has refused is not told: all count as missing, and are given again.
            end.applied = attrs.evolve(end.applied, addresses=())
        if _lacks_ipv6(made):
            log.warning("%s: %s", end.endpoint, made.error)
        else:
            error = refusal(made.error, end)
            end.fail(error.reason, str(error))


def _lacks_ipv6(made: Made) -> bool:
    """Tell whether all that is wrong with a port, as far as is told, is that its pod takes no IPv6 address."""
    return made.port is not None and made.error is not None and made.error.errno in NO_IPV6


def _wish(end: End) -> PortWish:
    applied = end.applied
    return PortWish(
        end.endpoint, applied.uid, end.sandbox.key.container_id, applied.mac, applied.mtu, applied.addresses
    )
