from __future__ import annotations

from typing import Any

from meshnet.cli.links import End, ends
from meshnet.cli.lost import with_losses
from meshnet.model.resource import Kind, Resource
from tests.cli.objects import link, told, topology

LOST = {"reason": "NodeLost", "message": "node n2 does not answer"}


def pod(name: str, node: str, *entries: tuple[dict[str, Any], str], namespace: str = "default") -> Resource:
    """A pod's Topology with its links, each with the state that its daemon wrote."""
    links = [told(entry, state, **(LOST if state == "Failed" else {})) for entry, state in entries]
    made = topology(
        name, *(entry for entry, _ in entries), namespace=namespace, node=node, observedGeneration=1, links=links
    )
    return Resource(Kind.TOPOLOGY, made)


def states(found: list[End]) -> dict[str, str]:
    return {f"{end.pod}:{end.interface}": str(end.entry.get("reason") or end.state) for end in found}


def test_an_end_whose_peer_calls_its_node_dead_is_lost_whatever_its_own_status_says() -> None:
    both = ends([pod("r1", "n1", (link(1, "r2"), "Failed")), pod("r2", "n2", (link(1, "r1"), "Up"))])
    found = with_losses(both, ["n1"])
    assert states(found) == {"r1:eth1": "NodeLost", "r2:eth1": "NodeLost"}
    assert found[0].entry["message"] == "node n2 does not answer"  # as its own daemon says
    assert found[1].state == "Failed"
    assert found[1].entry["message"] == "node n1 says: node n2 does not answer"  # and the address, where it has one
    # also when it can be reached from here
    assert states(with_losses(both, ["n1", "n2"])) == states(found)


def test_what_a_daemon_that_is_gone_wrote_before_is_not_held_against_a_node_that_answers() -> None:
    r1, r2 = pod("r1", "n1", (link(1, "r2"), "Up")), pod("r2", "n2", (link(1, "r1"), "Failed"))
    both = ends([r1, r2])
    assert states(with_losses(both, ["n1"])) == {"r1:eth1": "Up", "r2:eth1": "Up"}
    for reached in ([], ["n2"], ["n1", "n2"]):
        assert states(with_losses(both, reached)) == {"r1:eth1": "NodeLost", "r2:eth1": "NodeLost"}


def test_a_daemon_that_answers_and_hears_nobody_says_itself_whom() -> None:
    both = ends([pod("r1", "n1", (link(1, "r2"), "Failed")), pod("r2", "n2", (link(1, "r1"), "Failed"))])
    assert with_losses(both, ["n1", "n2"]) == both
    assert with_losses(both, ["n1"])[1].entry["message"] == "node n1 says: node n2 does not answer"


def test_what_it_wrote_before_stays_while_the_node_that_answers_has_not_heard_it_since() -> None:
    r1, r2 = pod("r1", "n1", (link(1, "r2"), "Pending")), pod("r2", "n2", (link(1, "r1"), "Failed"))
    assert states(with_losses(ends([r1, r2]), ["n1"])) == {"r1:eth1": "Pending", "r2:eth1": "NodeLost"}


def test_links_within_a_node_that_is_dead_to_all_are_lost() -> None:
    r1 = pod("r1", "n1", (link(1, "r2"), "Failed"))
    r2 = pod("r2", "n2", (link(1, "r1"), "Up"), (link(2, "r3", "eth2"), "Up"))
    r3 = pod("r3", "n2", (link(2, "r2", peer_interface="eth2"), "Up"))
    every = ends([r1, r2, r3])
    assert states(with_losses(every, ["n1"])) == dict.fromkeys(("r1:eth1", "r2:eth1", "r2:eth2", "r3:eth1"), "NodeLost")
    assert with_losses(every, ["n1"])[3].entry["message"] == "node n2, which runs default/r3, does not answer its peers"
    assert states(with_losses(every, ["n1", "n2"]))["r3:eth1"] == "Up"


def test_a_node_that_another_peer_hears_is_not_dead() -> None:
    r1 = pod("r1", "n1", (link(1, "r2"), "Failed"))
    r2 = pod("r2", "n2", (link(1, "r1"), "Up"), (link(2, "r3", "eth2"), "Up"), (link(3, "r4", "eth3"), "Up"))
    r3 = pod("r3", "n3", (link(2, "r2", peer_interface="eth2"), "Up"))
    r4 = pod("r4", "n2", (link(3, "r2", peer_interface="eth3"), "Up"))
    found = states(with_losses(ends([r1, r2, r3, r4]), ["n1", "n3"]))
    assert found == {
        "r1:eth1": "NodeLost",
        "r2:eth1": "NodeLost",
        "r2:eth2": "Up",
        "r2:eth3": "Up",
        "r3:eth1": "Up",
        "r4:eth1": "Up",
    }


def test_which_node_is_gone_is_told_by_the_end_on_one_that_fewer_call_so() -> None:
    r1 = pod("r1", "n1", (link(1, "r2"), "Failed"))
    r2 = pod("r2", "n2", (link(1, "r1"), "Failed"), (link(2, "r3", "eth2"), "Failed"))
    r3 = pod("r3", "n3", (link(2, "r2", peer_interface="eth2"), "Failed"))
    found = with_losses(ends([r1, r2, r3]), ["n1", "n2", "n3"])
    of_r2 = [f"node {node} says: node n2 does not answer" for node in ("n1", "n3")]
    assert [end.entry["message"] for end in found] == [LOST["message"], *of_r2, LOST["message"]]


def test_of_two_nodes_that_others_hear_each_end_keeps_its_own_words() -> None:
    heard = (link(3, "r3", "eth2"), "Up"), (link(4, "r3", "eth2", "eth2"), "Up")
    r1, r2 = pod("r1", "n1", (link(1, "r2"), "Failed"), heard[0]), pod("r2", "n2", (link(1, "r1"), "Failed"), heard[1])
    to_both = (link(3, "r1", peer_interface="eth2"), "Up"), (link(4, "r2", "eth2", "eth2"), "Up")
    found = with_losses(ends([r1, r2, pod("r3", "n3", *to_both)]), ["n1", "n2", "n3"])
    assert [end.entry["message"] for end in found if end.uid == 1] == [LOST["message"]] * 2


def test_who_only_was_not_reached_is_as_it_was() -> None:
    r1, r2 = pod("r1", "n1", (link(1, "r2"), "Up")), pod("r2", "n2", (link(1, "r1"), "Up"))
    external = pod("r3", "n2", (link(4, "localhost", "eth2", "ens3"), "Up"))
    every = ends([r1, r2, external])
    assert with_losses(every, []) == every


def test_a_pod_that_runs_nowhere_is_on_no_lost_node() -> None:
    r1 = pod("r1", "n1", (link(1, "r2"), "Failed"))
    r2 = Resource(Kind.TOPOLOGY, topology("r2", link(1, "r1")))
    assert states(with_losses(ends([r1, r2]), ["n1"]))["r2:eth1"] == "PodNotRunning"
