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
        found = ask_all({"n1": one, "n2": dying, "n3": none}, "links")
        assert found.told == {"n1": reply}
        assert "not whole" in found.silent["n2"]
        assert "No such file" in found.silent["n3"]
        assert found.remark().startswith("not reached: n2, n3 (n2: daemon at ")
        assert daemon.seen[0].env == {"MESHNET_QUERY": "links"}


def test_no_daemon_is_no_answer() -> None:
    found = ask_all({}, "links")
    assert (found.told, found.silent, found.remark()) == ({}, {}, "")


def test_a_daemon_that_refuses_is_an_error(tmp_path: Path) -> None:
    with Daemon(tmp_path / "1", answer(b"unknown query", code=1)), pytest.raises(QueryError, match="unknown query"):
        ask_all({"n1": tmp_path / "1"}, "links")
