"""The manifests that users of meshnet have come up unchanged, and every address in them answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs
import pytest
import yaml

from tests.lab.scenarios.lab import parse_interfaces

if TYPE_CHECKING:
    from tests.lab.scenarios.lab import Lab

EXAMPLES = Path(__file__).parents[3] / "examples"
HOW_MANY = {
    "2node.yml": 2,
    "3node.yml": 6,
    "3node-parallel.yml": 12,
    "5node.yml": 12,
    "statefulset.yml": 2,
    "macvlan.yml": 2,
    "dual-stack.yml": 6,
}
LARGE = {"star64.yml": 126, "ring100.yml": 200}


@attrs.frozen
class Address:
    """An address that the YAML gives to an interface, and the pod from which it must answer."""

    pod: str
    interface: str
    cidr: str
    other: str


def expected(file: Path) -> list[Address]:
    """Read the addresses out of the YAML by no other rule than a user's eye."""
    entries = [
        (document["metadata"]["name"], link)
        for document in yaml.safe_load_all(file.read_text())
        if document["kind"] == "Topology"
        for link in document["spec"]["links"]
    ]
    return [
        Address(name, link["local_intf"], cidr, _other(name, link, [pod for pod, _ in entries]))
        for name, link in entries
        for cidr in [link["local_ip"], *link.get("local_ips", [])]
    ]


def _other(name: str, link: dict[str, Any], pods: list[str]) -> str:
    """Return the pod at the other end; for an external link any other pod on the same wire."""
    if link["peer_pod"] != "localhost":
        return str(link["peer_pod"])
    return next(pod for pod in pods if pod != name)


@attrs.frozen
class Seen:
    """What a pod sees: its interfaces' addresses, and those at its links' other ends that do not answer."""

    addresses: dict[str, set[str]]
    unanswered: list[str]


def look(lab: Lab, pod: str, others: list[str]) -> Seen:
    """Ping addresses from a pod and read its own, in one command: with a hundred pods each costs its time."""
    script = 'ip -j address; for a in "$@"; do ping -q -c 1 -i 0.2 -w 5 "$a" >/dev/null || echo "$a"; done'
    interfaces, *unanswered = lab.exec(pod, "sh", "-c", script, "sh", *others).splitlines()
    return Seen({each.name: set(each.addresses) for each in parse_interfaces(interfaces).values()}, unanswered)


def everyone_sees(lab: Lab, addresses: list[Address]) -> None:
    """Hold every pod to the addresses declared for it, and to answers from those at the other ends."""
    for pod in sorted({address.pod for address in addresses}):
        own: dict[str, set[str]] = {}
        for address in addresses:
            if address.pod == pod:
                own.setdefault(address.interface, set()).add(address.cidr)
        others = [address.cidr.partition("/")[0] for address in addresses if address.other == pod]
        assert look(lab, pod, others) == Seen(own, []), pod


def test_every_example_is_here() -> None:
    files = {file.name for file in EXAMPLES.glob("*.yml")}
    assert files == {*HOW_MANY, *LARGE}


@pytest.mark.parametrize("name", [*HOW_MANY, *(pytest.param(name, marks=pytest.mark.slow) for name in LARGE)])
def test_comes_up(lab: Lab, name: str) -> None:
    addresses = expected(EXAMPLES / name)
    assert len(addresses) == {**HOW_MANY, **LARGE}[name]
    lab.up(EXAMPLES / name)
    everyone_sees(lab, addresses)


def test_mtu_and_macs_are_as_declared_at_both_ends(lab: Lab) -> None:
    lab.up(EXAMPLES / "dual-stack.yml")
    ends = [lab.interfaces(pod)["eth1"] for pod in ("r1", "r2")]
    assert [end.mtu for end in ends] == [1400, 1400]
    assert [end.mac for end in ends] == ["02:00:00:00:12:01", "02:00:00:00:12:02"]
    told = {end["pod"]: (end["mtu"], end["mac"]) for end in lab.end("r1:eth1")["endpoints"]}
    assert told == {"r1": (1400, "02:00:00:00:12:01"), "r2": (1400, "02:00:00:00:12:02")}


def test_a_restarted_pod_of_a_statefulset_has_its_link_again(lab: Lab) -> None:
    lab.up(EXAMPLES / "statefulset.yml")
    for pod in ("r1-0", "r2-0", "r1-0"):
        lab.run("lab", "restart", pod)
        lab.wait("up")
        everyone_sees(lab, expected(EXAMPLES / "statefulset.yml"))
