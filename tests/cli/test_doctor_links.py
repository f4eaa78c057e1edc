"""What doctor says of links that are not up, where there is no cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from meshnet.cli.checks.advice import BY_REASON, ELSE, advice
from meshnet.cli.checks.finding import Outcome
from meshnet.cli.checks.node import check_node
from meshnet.cli.targets.node import Node
from tests.cli.objects import link, topology

if TYPE_CHECKING:
    from meshnet.cli.checks.finding import Finding
    from tests.cli.conftest import Machine

PAGE = (Path(__file__).parents[2] / "docs/topologies.md").read_text()


def of_links(machine: Machine) -> list[Finding]:
    return [found for found in check_node(Node(machine.store_url, None), []) if found.area == "links"]


def test_a_link_that_is_not_up_is_told_with_its_reason_and_what_to_do(machine: Machine) -> None:
    failed, waits = link(1, "r2"), link(2, "r4")
    machine.apply(topology("r1", failed), topology("r3", waits))
    machine.write_status("r1", failed, "Failed", reason="NodeLost", message="n2 is silent")
    machine.write_status("r3", waits, "Pending", reason="PeerMissing", message="there is no Topology default/r4")
    every, lost, missing = of_links(machine)
    assert (every.outcome, every.told) == (Outcome.OK, "1 Failed, 1 Pending")
    assert (lost.about, lost.outcome) == ("default/r1:eth1 - r2:eth1", Outcome.FAIL)
    assert lost.told == "Failed: NodeLost: n2 is silent"
    assert "meshnet lab node NODE rejoin" in lost.advice
    assert (missing.about, missing.outcome) == ("default/r3:eth1 - r4:eth1", Outcome.WARN)
    assert missing.advice


def test_links_that_are_as_they_are_asked_for_are_counted_alone(machine: Machine) -> None:
    for name, peer in (("r1", "r2"), ("r2", "r1")):
        machine.apply(topology(name, link(1, peer)))
        machine.write_status(name, link(1, peer), "Down", reason="Unplugged")
    (every,) = of_links(machine)
    assert (every.outcome, every.told) == (Outcome.OK, "1 Down")


def test_where_there_is_no_link_nothing_is_said_of_links(machine: Machine) -> None:
    assert of_links(machine) == []


def test_every_reason_with_an_advice_is_one_that_there_is() -> None:
    listed = set(re.findall(r"`([A-Z]\w+)`", PAGE)) | {"NotObserved"}  # that one is the command's own
    assert set(BY_REASON) <= listed


def test_no_advice_is_a_clusters() -> None:
    assert not [told for told in BY_REASON.values() if "kubectl" in told]
    assert advice("SomethingOfADriver") == ELSE
