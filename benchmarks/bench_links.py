"""Links a second on one node, against `ip -batch` making the same veths and addresses.

A link is two veths: each end of it has one of its own, from the pod to the node. Both sides make them into namespaces
that are there already, with the same names, MTU, MAC addresses and IPv4 addresses, and set the pods' ends up.

plugin and daemon: everything. An ADD a pod, two at a time, through the real plugin and daemon, from the first until
every link end is up: also the ports' marks, filters and offloads, patches and carrier, checkpoints and status.
ports: the daemon's own module that makes ports (marks, filters and offloads included), in this process.
`ip`: one `ip -batch` on the node for the veths, then one `ip -n POD -batch` a pod for addresses and up.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import box
import wiring
from figures import Report
from local_node import BenchNode, BenchPod

from meshnet.driver import Inside
from meshnet.model import names
from meshnet.model.topology import Endpoint
from meshnet.netlink import Ethtool, Netlink, netns
from meshnet.panel.delete import delete_ports
from meshnet.panel.indices import Indices
from meshnet.panel.make import PortMaker
from meshnet.panel.port import PortWish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wiring import Cable

MTU = 1500


def whole(made: Sequence[Cable]) -> float:
    """Return links a second through plugin and daemon."""
    with BenchNode.running(wiring.topologies(made)) as node:
        pods = [BenchPod(name) for name in wiring.pod_names(made)]
        began = time.perf_counter()
        node.add_all(pods)
        node.until_up()
        took = time.perf_counter() - began
        for pod in pods:
            node.start("DEL", pod)
        for _ in pods:
            os.waitpid(-1, 0)
        for pod in pods:
            pod.remove()
    return len(made) / took


def wishes(made: Sequence[Cable], pods: dict[str, BenchPod]) -> dict[str, list[PortWish]]:
    """Return the ports of every pod."""
    wanted: dict[str, list[PortWish]] = {name: [] for name in pods}
    for cable in made:
        for pod, interface, address in (cable[1:4], cable[4:7]):
            number = len(wanted[pod]) + 1
            mac = f"02:00:{cable.uid >> 8:02x}:{cable.uid & 255:02x}:{number:02x}:01"
            endpoint = Endpoint("default", pod, interface)
            wanted[pod].append(PortWish(endpoint, cable.uid, pods[pod].container_id, mac, MTU, (address,)))
    return wanted


def ports(wanted: dict[str, list[PortWish]], pods: dict[str, BenchPod]) -> float:
    """Make all ports by the daemon's module; return seconds."""
    with (
        tempfile.TemporaryDirectory(dir="/run") as directory,
        Netlink.open() as netlink,
        Ethtool() as ethtool,
    ):
        maker = PortMaker(netlink, ethtool, Indices(Path(directory, "ifindex")))
        indexes = []
        began = time.perf_counter()
        for name, ends in wanted.items():
            fd = netns.open_netns(pods[name].path)
            with Netlink.open(fd) as inside:
                made = maker.make(ends, Inside(fd, inside))
            os.close(fd)
            indexes += [each.port.ifindex for each in made if each.port and not each.error]
        took = time.perf_counter() - began
        assert len(indexes) == sum(map(len, wanted.values()))
        delete_ports(indexes)
    return took


def by_ip(wanted: dict[str, list[PortWish]], pods: dict[str, BenchPod]) -> float:
    """Make the same veths and addresses by `ip -batch`; return seconds."""
    node, inside = [], {}
    for name, ends in wanted.items():
        pod = Path(pods[name].path).name
        batch = []
        for wish in ends:
            interface = wish.endpoint.interface
            port = names.port_name(wish.container_id, interface)
            port_mac = names.port_mac(wish.container_id, interface)
            node.append(
                f"link add {port} mtu {MTU} address {port_mac} type veth "
                f"peer name {interface} mtu {MTU} address {wish.mac} netns {pod}"
            )
            batch += [f"address add {address} dev {interface}" for address in wish.addresses]
            batch.append(f"link set {interface} up")
        inside[pod] = batch
    began = time.perf_counter()
    _batch((), node)
    for pod, batch in inside.items():
        _batch(("-n", pod), batch)
    took = time.perf_counter() - began
    made = [names.port_name(wish.container_id, wish.endpoint.interface) for ends in wanted.values() for wish in ends]
    _batch((), [f"link set {port} group 7" for port in made] + ["link delete group 7"])
    return took


def _batch(options: Sequence[str], commands: Sequence[str]) -> None:
    subprocess.run(["ip", *options, "-batch", "-"], input="\n".join(commands) + "\n", text=True, check=True)


def main() -> None:
    asked = box.options(__doc__)
    box.enter()
    made = wiring.ring_with_chords(*((50, 75) if asked.quick else (200, 300)))
    report = Report("bench_links", asked.rounds, asked.output)
    size = f"{len(made)} links"
    all_of_it = report.figure(f"{size}, plugin and daemon", "links/s", higher_is_better=True, goal=1.0)
    alone = report.figure(f"{size}, ports", "links/s", higher_is_better=True, goal=1.0)
    for _ in range(asked.rounds):
        report.quiet(asked.patience)
        all_of_it.ours.append(whole(made))
        pods = {name: BenchPod(name) for name in wiring.pod_names(made)}
        wanted = wishes(made, pods)
        theirs = len(made) / by_ip(wanted, pods)
        alone.ours.append(len(made) / ports(wanted, pods))
        for figure in (all_of_it, alone):
            figure.theirs.append(theirs)
        for pod in pods.values():
            pod.remove()
    report.finish()


if __name__ == "__main__":
    main()
