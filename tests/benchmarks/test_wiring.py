"""The topologies of benchmarks."""

from __future__ import annotations

import json
from collections import Counter

from benchmarks.wiring import cables, manifest, pod_names, ring_with_chords, topologies


def test_as_many_pods_and_links_as_asked_for() -> None:
    made = ring_with_chords(20, 30)
    assert (len(pod_names(made)), len(made), len({cable.uid for cable in made})) == (20, 30, 30)


def test_the_same_numbers_give_the_same_links() -> None:
    assert ring_with_chords(20, 30) == ring_with_chords(20, 30)
    assert ring_with_chords(20, 30) != ring_with_chords(20, 30, seed=2)


def test_no_interface_and_no_address_is_used_twice() -> None:
    made = ring_with_chords(50, 200)
    ends = Counter((pod, interface) for cable in made for pod, interface in (cable[1:3], cable[4:6]))
    addresses = Counter(address for cable in made for address in (cable.left_address, cable.right_address))
    assert max(ends.values()) == max(addresses.values()) == 1


def test_both_ends_declare_the_link() -> None:
    documents = topologies(cables([("a", "b"), ("a", "b")]), options={"offload": True})
    entries = {document["metadata"]["name"]: document["spec"]["links"] for document in documents}
    for here, there in zip(entries["a"], entries["b"], strict=True):
        assert here["uid"] == there["uid"]
        assert here["options"] == there["options"] == {"offload": True}
        assert (here["local_ip"], here["peer_intf"]) == (there["peer_ip"], there["local_intf"])


def test_a_manifest_has_a_pod_for_each_topology() -> None:
    items = json.loads(manifest(ring_with_chords(5, 6), ("sleep", "9")))["items"]
    names = {kind: {item["metadata"]["name"] for item in items if item["kind"] == kind} for kind in ("Pod", "Topology")}
    assert names["Pod"] == names["Topology"]
    assert all(item["spec"]["containers"][0]["command"] == ["sleep", "9"] for item in items if item["kind"] == "Pod")
