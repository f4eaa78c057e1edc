"""Rules of what doctor says of frames; that it is true of real links, tests of labs show."""

from __future__ import annotations

from typing import Any

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.cli.checks.frames import compare


def end(pod: str, node: str, sent: int, received: int) -> dict[str, Any]:
    counters = {"tx_packets": sent, "rx_packets": received}
    return {"pod": pod, "interface": "eth1", "node": node, "counters": counters}


def link(*endpoints: dict[str, Any], state: str = "Up", driver: str | None = "vxlan") -> dict[str, Any]:
    return {"namespace": "default", "state": state, "driver": driver, "endpoints": list(endpoints)}


def between(first: tuple[int, int], second: tuple[int, int], **more: Any) -> dict[str, Any]:
    """Return a link of r1 on n1 and r2 on n2, whose ends have counted these."""
    return link(end("r1", "n1", *first), end("r2", "n2", *second), **more)


def found(first: list[dict[str, Any]], *later: list[dict[str, Any]]) -> list[Finding]:
    """Return what is found where nothing happens between the first two looks, at the receivers and at the senders."""
    return found_of(first, first, *later)


def found_of(*looks: list[dict[str, Any]]) -> list[Finding]:
    left = list(looks)
    return compare(lambda: left.pop(0), lambda _: None)


def test_what_is_sent_and_arrives_is_fine() -> None:
    (one,) = found([between((5, 3), (3, 5))], [between((9, 3), (3, 9))])
    assert (one.outcome, one.told) == (Outcome.OK, "arrive, from each of the 1 ends that send now")


def test_what_is_sent_and_does_not_arrive_is_told_with_its_nodes() -> None:
    (one,) = found([between((5, 3), (3, 0))], [between((9, 4), (4, 0))], [between((9, 4), (4, 0))])
    assert (one.outcome, one.about) == (Outcome.FAIL, "vxlan n1 to n2")
    assert "default/r1:eth1 to default/r2:eth1" in one.told
    assert "firewall" in one.advice


def test_what_was_on_its_way_has_time_to_arrive() -> None:
    (one,) = found([between((5, 0), (0, 5))], [between((7, 0), (0, 5))], [between((7, 0), (0, 6))])
    assert one.outcome is Outcome.OK


def test_what_came_before_a_sender_was_looked_at_is_not_missed_afterwards() -> None:
    """Of two nodes one answers later: its receiver has what the other's sender had not sent yet when that answered."""
    empty, late = [between((0, 0), (0, 0))], [between((0, 0), (0, 2))]
    (one,) = found_of(empty, late, [between((2, 0), (0, 2))])
    assert one.outcome is Outcome.OK


def test_a_single_packet_that_is_lost_is_nothing_to_tell_of() -> None:
    assert found([between((5, 0), (0, 0))], [between((6, 0), (0, 0))]) == []


def test_links_between_the_same_nodes_are_told_together_and_the_other_way_apart() -> None:
    def look(sent: int) -> list[dict[str, Any]]:
        return [link(end(f"a{n}", "n1", sent, 0), end(f"b{n}", "n2", sent, 0)) for n in range(5)]

    there, back = found(look(1), look(3), look(3))
    assert (there.about, back.about) == ("vxlan n1 to n2", "vxlan n2 to n1")
    assert "default/a2:eth1 to default/b2:eth1, and 2 more" in there.told


def test_a_link_within_a_node_has_no_firewall_on_its_way() -> None:
    def look(sent: int) -> list[dict[str, Any]]:
        return [link(end("r1", "n1", sent, 0), end("r2", "n1", 0, 0), driver="veth")]

    (one,) = found(look(1), look(3), look(3))
    assert one.about == "veth on n1"
    assert "firewall" not in one.advice


def test_silent_ends_and_such_as_nobody_has_counted_are_nothing_to_tell_of() -> None:
    silent = [between((5, 0), (0, 0))]
    assert found(silent, silent) == []
    for other in ({"state": "Down"}, {"state": "Pending", "driver": None}):
        assert found([between((5, 0), (0, 0), **other)]) == []
    stale = {"pod": "r2", "interface": "eth1", "node": "n2", "stale": True}
    assert found([link(end("r1", "n1", 1, 0), stale)]) == []
    of_a_later_version = {
        "pod": "r2",
        "interface": "eth1",
        "node": "n2",
        "counters": {"rx_packets": 5, "tx_packets": None},
    }
    assert found([link(end("r1", "n1", 1, 0), of_a_later_version)]) == []
    assert found([link(end("r1", "n1", 1, 0), driver="macvlan")]) == []


def test_a_pod_that_was_started_anew_meanwhile_is_not_said_to_get_nothing() -> None:
    (one,) = found([between((5, 0), (0, 50))], [between((9, 0), (0, 2))])
    assert one.outcome is Outcome.OK
