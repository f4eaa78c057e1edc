"""Adoption: what a starting daemon finds, in the kernel and in its checkpoints, becomes its table again.

Nothing that forwards is touched, except what would forward to something that is gone.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, NamedTuple

from meshnet.model import names
from meshnet.model.topology import Endpoint
from meshnet.panel.splice import unless_gone
from meshnet.reconcile.end import Joint
from meshnet.reconcile.leftovers import remember
from meshnet.reconcile.rebuild import rebuild, take_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from meshnet.panel.port import PanelPort
    from meshnet.panel.splice import Splicer
    from meshnet.reconcile.end import End
    from meshnet.reconcile.sandbox import Sandbox
    from meshnet.reconcile.table import Table

log = logging.getLogger(__name__)


class Adopted(NamedTuple):
    """What was found.

    Attributes:
        vanished: sandboxes whose namespace went while no daemon was there.
        orphans: indexes of ports that are no sandbox's: of one whose daemon was killed while it made them.
    """

    vanished: Sequence[Sandbox]
    orphans: Sequence[int]


def adopt(
    table: Table, sandboxes: Iterable[Sandbox], ports: Iterable[PanelPort], ended: Callable[[Sandbox], bool]
) -> Adopted:
    """Fill the table from checkpoints and ports; `ended` tells whether a sandbox's namespace has.

    A sandbox without a checkpoint is known from its ports' marks, and so is a port that its sandbox's does not list.
    """
    known = list(sandboxes)
    left = _take_in_marked(known, _attach_all(known, ports))
    # A second attachment of a pod has no ports, and tells nothing of those of the first.
    containers = {sandbox.key.container_id for sandbox in known if sandbox.pod}
    rebuilt = rebuild([port for port in left if port.container_id not in containers], known)
    for sandbox in rebuilt:
        log.warning(
            "%s/%s: sandbox %s has no readable checkpoint; known from its %d ports",
            sandbox.namespace,
            sandbox.pod,
            sandbox.key.container_id[:13],
            len(sandbox.ends),
        )
    vanished = []
    # Of two sandboxes of one pod the one with the higher epoch is current.
    for sandbox in sorted((*rebuilt, *known), key=lambda sandbox: sandbox.epoch):
        if ended(sandbox):
            vanished.append(sandbox)
        table.add(sandbox)
    return Adopted(vanished, [port.ifindex for port in left if port.container_id in containers])


def rejoin(table: Table, splicer: Splicer) -> None:
    """Read from the redirects who is patched to whom; a redirect to what is gone is taken out.

    Whom on another node an end is patched to, its checkpoint has told.
    """
    for end in table.ends():
        port = end.port
        if port is None or port.redirect is None:
            continue
        target = table.by_port(port.redirect.ifindex)
        if target is not None:
            end.joint = Joint(target.endpoint, target.sandbox.epoch)
        elif not splicer.exists(port.redirect.ifindex):
            log.info("%s: its patch leads to what is gone", end.endpoint)
            with unless_gone():  # a pod can die now, too
                splicer.set_up(port, up=False)
                splicer.splice(port, None, offload=port.offload)
            end.joint = None


def _attach_all(sandboxes: Iterable[Sandbox], ports: Iterable[PanelPort]) -> list[PanelPort]:
    """Give each end its port; return the ports that are nobody's."""
    by_name = {port.name: port for port in ports}
    for sandbox in sandboxes:
        for end in sandbox.ends.values():
            _attach(end, by_name.pop(names.port_name(sandbox.key.container_id, end.endpoint.interface), None))
    return list(by_name.values())


def _take_in_marked(sandboxes: Sequence[Sandbox], ports: Iterable[PanelPort]) -> list[PanelPort]:
    """Give sandboxes the ports that are marked as theirs and in no checkpoint: the disk was full. Return the others.

    What is not declared any more goes when the Topology is known.
    """
    left = []
    for port in ports:
        sandbox = None if _is_unfinished(port) else _marked_as(port, sandboxes)
        if sandbox is None:
            left.append(port)
            continue
        log.warning("%s: no checkpoint lists it; known from its port", port.endpoint)
        port.endpoint = Endpoint(sandbox.namespace, sandbox.pod, port.endpoint.interface)
        take_in(sandbox, port)
    return left


def _is_unfinished(port: PanelPort) -> bool:
    """Tell whether a daemon may have been killed before it gave a port's other end its addresses and set that up.

    If it was the pod that set it down, it is made anew without harm: nothing forwards to it.
    """
    return not port.pod_up and not port.up and port.redirect is None


def _marked_as(port: PanelPort, sandboxes: Iterable[Sandbox]) -> Sandbox | None:
    """Return whose a port is by its mark, unless that has another one for the same interface."""
    interface, mark = port.endpoint.interface, names.Mark.of(port.endpoint, port.uid, port.container_id)
    its = [
        sandbox
        for sandbox in sandboxes
        if mark.is_in(sandbox.key.container_id) and mark.is_of(Endpoint(sandbox.namespace, sandbox.pod, interface))
    ]
    newest = max(its, key=lambda sandbox: sandbox.epoch, default=None)
    return None if newest is None or interface in newest.ends else newest


def _attach(end: End, port: PanelPort | None) -> None:
    end.adopted = True
    end.confirmed = end.joint is not None
    end.port = port
    if end.interface and end.applied.driver:
        remember(end, end.applied.driver)
    if port is None:
        return
    # A long name is cut in the alias; the checkpoint has it whole.
    port.endpoint, port.container_id = end.endpoint, end.sandbox.key.container_id
