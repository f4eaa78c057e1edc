from __future__ import annotations

import pytest

from meshnet.stores.base import Event
from meshnet.stores.kubernetes.event_object import LONGEST, About, event_object, folded

EVENT = Event("Topology lab/r1", "Warning", "DriverMissing", "no wire here", "meshnetd n1", count=2, time=61.7)


@pytest.mark.parametrize(
    ("text", "kind", "namespace", "name"),
    [
        ("Topology lab/r1", "Topology", "lab", "r1"),
        ("MeshNode n1", "MeshNode", "", "n1"),
        ("Node", "Node", "", ""),
    ],
)
def test_what_an_event_is_about(text: str, kind: str, namespace: str, name: str) -> None:
    about = About.read(text)
    assert about == About(kind, namespace, name)
    assert str(about) == text


def test_an_event_as_kubectl_looks_for_it() -> None:
    made = event_object(EVENT, "r1.abc", "u-1")
    assert made["involvedObject"] == {
        "apiVersion": "networkop.co.uk/v1beta1",
        "kind": "Topology",
        "namespace": "lab",
        "name": "r1",
        "uid": "u-1",
    }
    assert (made["metadata"]["namespace"], made["metadata"]["name"]) == ("lab", "r1.abc")
    assert (made["reportingComponent"], made["reportingInstance"]) == ("meshnetd", "n1")
    assert made["source"] == {"component": "meshnetd", "host": "n1"}
    assert (made["count"], made["firstTimestamp"], made["lastTimestamp"]) == (2, *["1970-01-01T00:01:01Z"] * 2)


def test_an_event_about_a_node_is_in_the_default_namespace() -> None:
    made = event_object(Event("MeshNode n1", "Normal", "Up", "up", "meshnetd"), "n1.abc", "")
    assert made["metadata"]["namespace"] == "default"
    assert set(made["involvedObject"]) == {"apiVersion", "kind", "name"}
    assert made["lastTimestamp"] > "2024"


def test_a_message_is_cut_at_the_apis_limit() -> None:
    message = event_object(Event("Node n", "Normal", "A", "ü" * 2000, "s"), "n", "")["message"]
    assert (len(message), message[-2:]) == (LONGEST, "ü…")


def read(event: Event, revision: int) -> dict[str, object]:
    made = event_object(event, "name", "")
    made["metadata"] = {**made["metadata"], "resourceVersion": str(revision)}
    return made


def test_the_same_told_by_a_restarted_daemon_is_one_thing() -> None:
    other = Event("MeshNode n1", "Normal", "Up", "up", "meshnetd n1", time=5.0)
    later = Event("Topology lab/r1", "Warning", "DriverMissing", "no wire here", "meshnetd n1", time=99.0)
    second, first = folded([read(later, 10), read(other, 9), read(EVENT, 8)])
    assert second == other
    assert (first.about, first.count, first.time) == ("Topology lab/r1", 3, 99.0)
