"""Writes the two large examples, star64.yml and ring100.yml, beside itself: ``python examples/generate.py``."""

from __future__ import annotations

import pathlib
from typing import NamedTuple

TOPOLOGY = """\
apiVersion: networkop.co.uk/v1beta1
kind: Topology
metadata:
  name: {name}
spec:
  links:
"""
LINK = """\
  - uid: {uid}
    peer_pod: {peer_pod}
    local_intf: {local_intf}
    peer_intf: {peer_intf}
    local_ip: {local_ip}
    peer_ip: {peer_ip}
"""
# With stdin the image's own shell waits for ever, so the pod stays without a command.
POD = """\
apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: shell
    image: alpine
    stdin: true
"""


class Link(NamedTuple):
    """A cable: its uid, and (pod, interface, address) of either end."""

    uid: int
    a: tuple[str, str, str]
    b: tuple[str, str, str]


def star(pods: int) -> list[Link]:
    """A hub in the middle, every other pod on an interface of its own."""
    return [
        Link(n, ("hub", f"eth{n}", f"10.64.{n}.1/24"), (f"leaf{n}", "eth1", f"10.64.{n}.2/24")) for n in range(1, pods)
    ]


def ring(pods: int) -> list[Link]:
    """Every pod's eth1 to the next one's eth2, the last one's to the first's."""
    return [
        Link(n, (f"r{n}", "eth1", f"10.100.{n}.1/24"), (f"r{n % pods + 1}", "eth2", f"10.100.{n}.2/24"))
        for n in range(1, pods + 1)
    ]


def manifest(links: list[Link]) -> str:
    """A Topology and a Pod for each pod that the links name, in order of appearance."""
    entries: dict[str, list[str]] = {}
    for uid, a, b in links:
        for (pod, interface, address), (peer, peer_interface, peer_address) in ((a, b), (b, a)):
            entry = LINK.format(
                uid=uid,
                peer_pod=peer,
                local_intf=interface,
                peer_intf=peer_interface,
                local_ip=address,
                peer_ip=peer_address,
            )
            entries.setdefault(pod, []).append(entry)
    topologies = [TOPOLOGY.format(name=pod) + "".join(texts) for pod, texts in entries.items()]
    pods = [POD.format(name=pod) for pod in entries]
    return "---\n".join(topologies + pods)


EXAMPLES = {
    "star64.yml": ("# A hub and 63 leaves. Made by generate.py.\n", star(64)),
    "ring100.yml": ("# A ring of 100 pods. Made by generate.py.\n", ring(100)),
}


def main() -> None:
    """Write both files."""
    here = pathlib.Path(__file__).parent
    for name, (title, links) in EXAMPLES.items():
        (here / name).write_text(title + manifest(links))


if __name__ == "__main__":
    main()
