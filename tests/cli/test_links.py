from __future__ import annotations

from typing import Any

import pytest

from meshnet.cli import links
from meshnet.cli.links import STATES, as_known, ends, join
from meshnet.cli.views.links import VIEW, cells
from meshnet.model.resource import Kind, Resource
from tests.cli.objects import link, told, topology


def joined(*documents: dict[str, Any], answers: Any = None) -> list[dict[str, Any]]:
    return join(ends([Resource(Kind.TOPOLOGY, document) for document in documents]), answers or {})


def running(name: str, entry: dict[str, Any], state: str = "Up", node: str = "n1", **more: Any) -> dict[str, Any]:
    return topology(name, entry, node=node, observedGeneration=1, links=[told(entry, state, **more)])


def row(pod: str, interface: str = "eth1", **more: Any) -> dict[str, Any]:
    return {"namespace": "default", "pod": pod, "interface": interface, "uid": 1, "carrier": True, "mtu": 1500, **more}


def test_both_ends_are_one_entry_with_what_the_daemons_say() -> None:
    a, b = running("r1", link(1, "r2")), running("r2", link(1, "r1"))
    counters = {"rx_packets": 7}

    (found,) = joined(a, b, answers={"n1": [row("r1", counters=counters, spliced_to=9), row("r2", carrier=False)]})

    assert found == {
        "namespace": "default",
        "uid": 1,
        "driver": "veth",
        "why": "both pods run on node n1",
        "state": "Up",
        "endpoints": [
            {
                "pod": "r1",
                "interface": "eth1",
                "node": "n1",
                "state": "Up",
                "carrier": True,
                "mtu": 1500,
                "counters": counters,
            },
            {"pod": "r2", "interface": "eth1", "node": "n1", "state": "Up", "carrier": False, "mtu": 1500},
        ],
    }


def test_what_is_wrong_in_a_pod_of_a_link_that_is_up_is_told_with_the_pods_name() -> None:
    refused = "the pod takes no address fd00::1/64"
    a, b = running("r1", link(1, "r2")), running("r2", link(1, "r1"), message=refused)

    (found,) = joined(a, b)

    assert (found["state"], found.get("reason"), found["message"]) == ("Up", None, f"r2:eth1: {refused}")
    assert cells(found)[-1] == f"r2:eth1: {refused}; both pods run on node n1"
    assert "message" not in joined(a, running("r2", link(1, "r1"), message=""))[0]


def test_an_interface_that_its_pod_has_set_down_is_named_since_neither_end_has_carrier_then() -> None:
    a, b = running("r1", link(1, "r2")), running("r2", link(1, "r1"))
    answers = {"n1": [row("r1", carrier=False, up=True), row("r2", carrier=False, up=False)]}

    (found,) = joined(a, b, answers=answers)

    assert (found["state"], found["message"]) == ("Up", "r2:eth1: its pod has set it down")
    assert [end["up"] for end in found["endpoints"]] == [True, False]
    assert cells(found)[-1] == "r2:eth1: its pod has set it down; both pods run on node n1"


def test_what_both_ends_have_counted_is_told_of_each_also_when_it_is_the_same() -> None:
    a, b = running("r1", link(1, "r2")), running("r2", link(1, "r1"))
    packets = [column.title for column in VIEW.columns].index("RX PACKETS")

    def told_of(*rows: dict[str, Any]) -> str:
        (found,) = joined(a, b, answers={"n1": rows})
        return cells(found)[packets]

    assert told_of(*(row(pod, counters={"rx_packets": 7}) for pod in ("r1", "r2"))) == "7 / 7"
    assert told_of(row("r1", counters={"rx_packets": 7}), row("r2")) == "7 / -"
    assert told_of(row("r1"), row("r2")) == "-"


def test_of_many_links_each_is_compared_with_its_own_entry_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """KNE#717: a pod with 1500 links took `get links` and `wait` half a minute."""
    compared: list[Any] = []
    is_about = links._is_about
    monkeypatch.setattr(links, "_is_about", lambda *two: compared.append(two) or is_about(*two))
    every = [link(number, "r2", f"eth{number}") for number in range(100)]
    status = {"node": "n1", "observedGeneration": 1, "links": [told(entry, "Up") for entry in reversed(every)]}
    found = ends([Resource(Kind.TOPOLOGY, topology("r1", *every, **status))])
    assert [(end.uid, end.state) for end in found] == [(number, "Up") for number in range(100)]
    assert len(compared) == 100


def test_a_node_that_lost_a_pod_to_another_says_nothing_of_its_link() -> None:
    """It tells of its old sandbox, superseded, until the pod's DEL comes there: for as long as it is cut off."""
    a, b = running("r1", link(1, "r2")), running("r2", link(1, "r1"))
    old = row("r2", **told(link(1, "r1"), "Failed"), reason="Superseded", carrier=False)
    new = row("r2", **told(link(1, "r1"), "Up"))

    (found,) = joined(a, b, answers={"n1": [row("r1"), new], "n2": [old]})

    assert found["state"] == "Up"
    assert found["endpoints"][1]["carrier"] is True


def test_a_node_not_reached_leaves_out_what_only_it_knows() -> None:
    a, b = running("r1", link(1, "r2")), running("r2", link(1, "r1"), node="n2")

    (found,) = joined(a, b, answers={"n1": [row("r1")]})

    here, there = found["endpoints"]
    assert "stale" not in here
    assert there == {"pod": "r2", "interface": "eth1", "node": "n2", "state": "Up", "stale": True}


@pytest.mark.parametrize("better", STATES)
@pytest.mark.parametrize("worse", STATES)
def test_a_link_is_as_its_worse_end(better: str, worse: str) -> None:
    if STATES.index(better) > STATES.index(worse):
        better, worse = worse, better
    why = {"reason": "SomeReason", "message": "some message"}
    a = running("r1", link(1, "r2"), better, **why)
    b = running("r2", link(1, "r1"), worse, **why)

    (found,) = joined(a, b)

    assert found["state"] == worse
    assert ("reason" in found) == (worse != "Up")


def test_an_external_link_has_one_endpoint_and_the_parent() -> None:
    (found,) = joined(running("r1", link(4, "localhost", "eth2", "ens3")))

    assert found["parent"] == "ens3"
    assert [(end["pod"], end["interface"]) for end in found["endpoints"]] == [("r1", "eth2")]


def test_an_end_that_nobody_declares_is_there_by_name_only() -> None:
    (found,) = joined(running("r1", link(1, "r2"), "Pending", reason="PeerMissing", message="no Topology r2"))

    assert found["reason"] == "PeerMissing"
    assert found["endpoints"][1] == {"pod": "r2", "interface": "eth1"}


@pytest.mark.parametrize("state", ["Up", "Down"])
def test_an_only_end_is_not_believed_to_be_up(state: str) -> None:
    (found,) = joined(running("r1", link(1, "r2"), state))

    assert (found["state"], found["reason"]) == ("Pending", "PeerMissing")
    assert found["message"] == "no Topology declares default/r2:eth1"


def test_a_pod_that_does_not_run_is_pending() -> None:
    (found,) = joined(topology("r1", link(1, "r2")), topology("r2", link(1, "r1")))

    assert (found["state"], found["reason"]) == ("Pending", "PodNotRunning")
    assert all("stale" not in end for end in found["endpoints"])


def test_what_a_daemon_wrote_about_another_peer_says_nothing_about_this_one() -> None:
    recabled = topology("r1", link(1, "r3"), node="n1", observedGeneration=1, links=[told(link(1, "r2"), "Up")])

    (found,) = joined(recabled)

    assert (found["state"], found["reason"]) == ("Pending", "NotObserved")


def test_of_very_many_links_the_least_that_is_told_is_enough() -> None:
    least = {"local_intf": "eth1", "uid": 1, "state": "Failed", "reason": "KernelRefused", "receive_id": 7}
    a = topology("r1", link(1, "r2"), node="n1", observedGeneration=1, links=[least])

    (found,) = joined(a, running("r2", link(1, "r1")))

    assert (found["state"], found["reason"], found["driver"]) == ("Failed", "KernelRefused", "veth")
    assert [end["state"] for end in found["endpoints"]] == ["Failed", "Up"]
    assert "KernelRefused" in cells(found)[-1]


def test_a_uid_of_two_pairs_is_two_links() -> None:
    found = joined(
        topology("a", link(1, "b")),
        topology("b", link(1, "a")),
        topology("c", link(1, "d")),
        topology("d", link(1, "c")),
    )

    assert [[end["pod"] for end in entry["endpoints"]] for entry in found] == [["a", "b"], ["c", "d"]]


def test_equal_names_in_two_namespaces_are_two_links() -> None:
    found = joined(*(topology("r1", link(1, "r2"), namespace=namespace) for namespace in ("x", "y")))

    assert [entry["namespace"] for entry in found] == ["x", "y"]


def test_a_pod_linked_to_itself_is_one_entry() -> None:
    (found,) = joined(topology("r1", link(1, "r1", "eth1", "eth2"), link(1, "r1", "eth2", "eth1")))

    assert [end["interface"] for end in found["endpoints"]] == ["eth1", "eth2"]


def test_status_of_an_older_generation_is_not_observed() -> None:
    document = running("r1", link(1, "r2"))
    document["metadata"]["generation"] = 2

    (end,) = ends([Resource(Kind.TOPOLOGY, document)])

    assert end.state == "Up"
    assert not end.observed


@pytest.mark.parametrize(("generation", "observed"), [(1, False), (2, True)])
def test_what_a_daemon_answers_tells_of_which_generation_it_is(generation: int, observed: bool) -> None:
    document = running("r1", link(1, "r2"))
    document["metadata"]["generation"] = 2
    now = row("r1", **told(link(1, "r2"), "Down"), generation=generation)

    both = ends(Resource(Kind.TOPOLOGY, each) for each in (document, running("r2", link(1, "r1"))))

    assert [(end.state, end.observed) for end in as_known(both, {"n1": [now]})] == [("Down", observed), ("Up", True)]


def test_a_daemon_that_answers_knows_better_than_what_it_wrote_some_seconds_ago() -> None:
    waiting = {"reason": "PeerNotRunning", "message": "pod r2 is not running yet"}
    a, b = running("r1", link(1, "r2"), "Pending", **waiting), running("r2", link(1, "r1"))
    now = {**told(link(1, "r2"), "Up"), "reason": "", "message": ""}

    (found,) = joined(a, b, answers={"n1": [row("r1", **now), row("r2")]})

    assert (found["state"], found["endpoints"][0]["state"]) == ("Up", "Up")
    assert "reason" not in found
    assert "reason" not in found["endpoints"][0]


def test_what_a_daemon_answers_about_another_peer_says_nothing_about_this_one() -> None:
    a, b = running("r1", link(1, "r2"), "Pending", reason="PeerNotRunning"), running("r2", link(1, "r1"))

    (found,) = joined(a, b, answers={"n1": [row("r1", **told(link(1, "r3"), "Up"))]})

    assert found["state"] == "Pending"


def test_a_pod_that_runs_no_more_is_not_up_because_a_daemon_says_so() -> None:
    a, b = running("r1", link(1, "r2")), topology("r2", link(1, "r1"))

    (found,) = joined(a, b, answers={"n1": [row("r1"), row("r2", **told(link(1, "r1"), "Up"))]})

    assert (found["state"], found["reason"]) == ("Pending", "PodNotRunning")
