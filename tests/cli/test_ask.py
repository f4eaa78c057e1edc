from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meshnet.cli.ask import ask_all
from meshnet.cni.client import QueryError
from tests.cni.daemon import Daemon, answer, hang_up_later

if TYPE_CHECKING:
    from pathlib import Path


def test_all_daemons_are_asked_and_those_not_reached_are_left_out(tmp_path: Path) -> None:
    one, dying, none = tmp_path / "1", tmp_path / "2", tmp_path / "3"
    reply = {"node": "n1", "links": []}

    with Daemon(one, answer(json.dumps(reply).encode())) as daemon, Daemon(dying, hang_up_later):
        assert ask_all([one, dying, none], "links") == {"n1": reply}
        assert daemon.seen[0].env == {"MESHNET_QUERY": "links"}


def test_no_daemon_is_no_answer() -> None:
    assert ask_all([], "links") == {}


def test_a_daemon_that_refuses_is_an_error(tmp_path: Path) -> None:
    with Daemon(tmp_path / "1", answer(b"unknown query", code=1)), pytest.raises(QueryError, match="unknown query"):
        ask_all([tmp_path / "1"], "links")
