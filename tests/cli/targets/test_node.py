from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meshnet.cli.checks.finding import Outcome
from meshnet.cli.checks.node import check_node
from meshnet.cli.targets.node import Node
from meshnet.errors import UsageError
from tests.cni.daemon import Daemon, answer
from tests.nobody import closed

if TYPE_CHECKING:
    from pathlib import Path

REPLY = {"node": "n1", "links": []}


def test_a_node_is_what_the_environment_names(tmp_path: Path) -> None:
    with Daemon(tmp_path / "named", answer(json.dumps(REPLY).encode())):
        node = Node.of({"MESHNET_STORE": "memory:", "MESHNET_SOCKET": str(tmp_path / "named")})
        assert node.store_url == "memory:"
        assert node.ask("links").told == {"n1": REPLY}


def test_else_the_usual_socket_if_there_is_one(tmp_path: Path) -> None:
    assert Node.of({"MESHNET_RUN_DIR": str(tmp_path)}).ask("links").told == {}
    with Daemon(tmp_path / "meshnetd.sock", answer(json.dumps(REPLY).encode())):
        assert Node.of({"MESHNET_RUN_DIR": str(tmp_path)}).ask("links").told == {"n1": REPLY}


def test_a_daemon_that_is_silent_has_no_name(tmp_path: Path) -> None:
    found = Node("", tmp_path / "nobody").ask("links")
    assert (found.told, found.silent) == ({}, {})


def test_a_store_that_is_not_known_is_asked_for() -> None:
    async def nothing(_store: object) -> None: ...

    with pytest.raises(UsageError, match="set MESHNET_STORE as well"):
        Node("", None).with_store(nothing)


def test_a_daemon_that_is_closed_to_who_asks_is_not_taken_for_none(tmp_path: Path) -> None:
    run_dir = tmp_path / "meshnet"
    run_dir.mkdir()
    with closed(run_dir):
        node = Node.of({"MESHNET_RUN_DIR": str(run_dir)})
        assert node.ask("links").told == {}
        (found,) = (one for one in check_node(node, [run_dir / "meshnetd.sock"]) if one.about == "daemon")
    assert found.outcome is Outcome.FAIL
    assert "Permission denied" in found.told
