"""``lab up --driver NAME``: what it is set for, and what is said of the links that it cannot make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs
import pytest

from meshnet.cli.lab.planning import make_plan
from meshnet.cli.lab.preferred import notes_for, preferred, settings_for
from meshnet.cli.main import parse
from meshnet.driver import LinkDriver, Scope
from meshnet.driver.plugins import Broken, Discovery
from meshnet.driver.registry import Registry
from meshnet.errors import UsageError
from tests.cli.objects import link, topology

if TYPE_CHECKING:
    from pathlib import Path

SAME, APART = {"r1": "n1", "r2": "n1"}, {"r1": "n1", "r2": "n2"}


class Tunnel(LinkDriver):
    api = 1
    name = "tunnel"
    scopes = Scope.BETWEEN_NODES

    async def patch(self, link: Any, peer: Any) -> Any:
        raise NotImplementedError


@attrs.frozen
class Case:
    place: dict[str, str]
    link: dict[str, Any]
    told: str = ""


CASES = {
    "same node": Case(SAME, link(1, "r2"), "same node"),
    "two nodes": Case(APART, link(1, "r2")),
    "named": Case(SAME, link(1, "r2", driver="veth")),
    "external": Case(APART, link(1, "localhost", peer_interface="eth0"), "external"),
    "without a pod": Case({"r1": "n1"}, link(1, "r2")),
    "not started": Case({}, link(1, "r2")),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_links_that_it_cannot_make_are_told(case: Case) -> None:
    (entry,) = Registry.of(Tunnel).entries()
    placement = {("default", pod): node for pod, node in case.place.items()}

    notes = list(notes_for(entry, [topology("r1", case.link, case.link), topology("r2")], placement))

    wanted = f"--driver tunnel: makes no links of kind {case.told}: those get the default driver"
    assert notes == ([wanted] if case.told else [])


def test_a_link_whose_other_end_names_a_driver_is_told_by_none() -> None:
    """What one end gives binds both."""
    (entry,) = Registry.of(Tunnel).entries()
    topologies = [topology("r1", link(1, "r2")), topology("r2", link(1, "r1", driver="veth"))]

    assert list(notes_for(entry, topologies, {("default", pod): "n1" for pod in SAME})) == []


def test_it_is_set_for_what_it_can_make() -> None:
    (entry,) = Registry.of(Tunnel).entries()
    assert settings_for(entry) == {"MESHNET_PREFER_BETWEEN_NODES": "tunnel"}


def test_one_that_is_not_installed_is_wrong_use() -> None:
    with pytest.raises(UsageError, match=r"^--driver warp: driver 'warp' is not installed"):
        preferred("warp")


def test_one_that_is_broken_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that its author has just made a mistake in: it is installed."""
    broken = Broken("warp", "warp-drive", "1.0", "SyntaxError: line 7")
    monkeypatch.setattr(Registry, "load", lambda: Registry(Discovery((), (broken,))))

    with pytest.raises(UsageError, match=r"^--driver warp: .*warp-drive 1\.0 is broken: SyntaxError: line 7$"):
        preferred("warp")


def test_one_with_an_empty_name_is_not_passed_over(tmp_path: Path) -> None:
    """As a variable is that is not set."""
    file = tmp_path / "r1.yml"
    file.write_text("apiVersion: v1\nkind: Pod\nmetadata: {name: r1}\nspec: {containers: []}\n")

    with pytest.raises(UsageError, match=r"^--driver : driver '' is not installed"):
        make_plan(parse(["lab", "up", "--driver", "", str(file)]), "lab")
