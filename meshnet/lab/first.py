"""The first process of a lab's box: it makes the nodes and starts their daemons, and then becomes the supervisor."""

from __future__ import annotations

import os
import resource
import signal
from typing import TYPE_CHECKING

from meshnet.lab import underlay
from meshnet.lab.children import Children
from meshnet.lab.node import Node
from meshnet.lab.uplink import Uplink
from meshnet.netlink.socket import Netlink

if TYPE_CHECKING:
    from meshnet.lab.channel import Channel
    from meshnet.lab.plan import LabPlan


def first_process(plan: LabPlan, channel: Channel) -> None:
    """Run the lab of `plan` in the box that the calling process has prepared; returns when it is to end.

    Raises KernelError when a node cannot be made.
    """
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    # who called may ignore or block it: then nobody learns of the end of a daemon or plugin
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    children = Children()
    nodes = _start_nodes(plan, children)
    # Imported while the daemons start, which takes them as long as all the rest takes this process.
    from meshnet.lab.supervisor import supervise  # noqa: PLC0415

    supervise(plan, nodes, channel, children)


def _start_nodes(plan: LabPlan, children: Children) -> list[Node]:
    nodes = []
    with Netlink.open() as box:
        box.run([underlay.up_loopback()])
        bridge = underlay.make_bridge(box, plan.underlay.mtu)
        for number, name in enumerate(plan.nodes, start=1):
            uplink = Uplink(name, number, plan.underlay)
            node = Node(name, number, uplink, children, plan.settings.get(name, {}))
            node.make()
            uplink.connect(box, bridge, node.netns_fd)
            node.start()
            nodes.append(node)
    return nodes
