"""What doctor tells of drivers: on this machine, on a lab's nodes, on a cluster's."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

from meshnet.cli.checks.drivers import check_drivers, on_nodes
from meshnet.cli.checks.finding import Outcome
from meshnet.cli.checks.node import check_node
from meshnet.cli.targets.node import Node
from meshnet.driver import API, LinkDriver, Scope
from meshnet.driver.listing import driver_rows
from meshnet.driver.registry import Registry
from tests.cni.daemon import Daemon, answer

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def driver(name: str, state: str = "usable", reason: str = "") -> dict[str, Any]:
    return {"name": name, "version": "1", "distribution": name, "state": state, "reason": reason}


def test_who_has_a_driver_for_a_newer_core_is_not_told_to_upgrade_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    newer = type("Newer", (LinkDriver,), {"api": API + 1, "name": "newer", "scopes": Scope.SAME_NODE})
    monkeypatch.setattr("meshnet.cli.checks.drivers.installed_drivers", lambda: driver_rows(Registry.of(newer)))
    (found,) = check_drivers()
    assert found.outcome is Outcome.FAIL
    assert found.told.endswith("upgrade meshnet-cni")
    assert found.advice == "upgrade what is too old, or uninstall given"


def test_drivers_are_told_with_the_nodes_on_which_they_are_so() -> None:
    told = {
        "n1": [driver("vxlan"), driver("veth")],
        "n2": [driver("vxlan", "unusable", "no module"), driver("veth"), driver("x", "broken", "bad")],
    }
    found = on_nodes(told, lambda row: f"mend {row['name']}")
    assert [(one.outcome, one.about, one.told, one.advice) for one in found] == [
        (Outcome.OK, "veth 1", "usable on n1, n2", ""),
        (Outcome.WARN, "vxlan 1", "unusable on n2: no module", "mend vxlan"),
        (Outcome.OK, "vxlan 1", "usable on n1", ""),
        (Outcome.FAIL, "x 1", "broken on n2: bad", "mend x"),
    ]


def test_a_driver_of_which_a_daemon_says_not_why_it_is_not_usable_is_told_all_the_same() -> None:
    """Another release's daemon may have states that this one does not know."""
    later = {"name": "veth", "version": "9", "state": "starting"}
    (found,) = on_nodes({"n1": [later]}, lambda _: "wait")
    assert (found.about, found.told) == ("veth 9", "starting on n1")


def test_what_several_daemons_of_a_lab_say_alike_is_told_once(tmp_path: Path) -> None:
    sockets = [tmp_path / "n1" / "meshnetd.sock", tmp_path / "n2" / "meshnetd.sock"]
    with contextlib.ExitStack() as daemons:
        for socket in sockets:
            socket.parent.mkdir()
            told = {"node": socket.parent.name, "drivers": [driver("veth"), driver("vxlan", "unusable", "no module")]}
            daemons.enter_context(Daemon(socket, answer(json.dumps(told).encode())))
        found = check_node(Node("", None), sockets)
    assert [one.told for one in found if one.area == "drivers"] == ["unusable on n1, n2: no module"]
