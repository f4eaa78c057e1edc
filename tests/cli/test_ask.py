from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from meshnet.cli.answers import misshapen
from meshnet.cli.ask import ask_all
from meshnet.cni.client import QueryError
from tests.cni.daemon import Daemon, answer, hang_up_later

if TYPE_CHECKING:
    from pathlib import Path

CNI = dict.fromkeys(("bin_dir", "conf_dir", "source", "problem"), "")
END = {"namespace": "default", "pod": "r1", "interface": "eth1", "state": "Up", "addresses": ["10.0.0.1/24"]}


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


@pytest.mark.parametrize(
    ("query", "reply", "told"),
    [
        ("links", [], "must be a mapping"),
        ("links", None, "node: must be given"),
        ("links", {"node": "n2", "ends": []}, "links: must be given: a list"),
        ("links", {"node": "n2", "links": [END, {**END, "pod": 5}, []]}, "links[1].pod: 5: must be a string"),
        (
            "links",
            {"node": "n2", "links": [{**END, "counters": {"tx_packets": "9"}}]},
            "links[0].counters.tx_packets: '9'",
        ),
        ("states", {"node": "n2", "states": [{**END, "generation": {}}]}, "states[0].generation: {}: must be a whole"),
        ("sandboxes", {"node": "n2", "sandboxes": {"a": 1}}, "sandboxes: {'a': 1}: must be a list"),
        ("drivers", {"node": "n2", "drivers": [{"name": "veth", "state": "usable"}]}, "drivers[0].version: must be"),
        ("health", {"node": "n2", "cni": {"problem": ""}}, "cni.bin_dir: must be given"),
        ("health", {"node": "n2", "cni": CNI}, "cni.remarks: must be given: a list"),
        ("summary", {"node": ["n2"]}, "node: ['n2']: must be a string"),
    ],
)
def test_a_daemon_whose_answer_has_another_shape_hides_no_other(
    tmp_path: Path, query: str, reply: object, told: str
) -> None:
    good = {"node": "n1", "links": [END], "states": [END], "sandboxes": [], "drivers": [], "synced": True, "later": 1}

    with (
        Daemon(tmp_path / "1", answer(json.dumps(good).encode())),
        Daemon(tmp_path / "2", answer(json.dumps(reply).encode())),
    ):
        found = ask_all({"n1": tmp_path / "1", "n2": tmp_path / "2"}, query)

    assert found.told == {"n1": good}
    assert f"daemon at {tmp_path}/2: its answer to '{query}' is another version's, or damaged: " in found.silent["n2"]
    assert told in found.silent["n2"]


def test_of_an_answer_with_much_wrong_in_it_the_first_is_told() -> None:
    assert misshapen("links", {"node": "n1", "links": ["x" * 10_000] * 3})[-18:] == "xxxxx, and 11 more"


def test_no_daemon_is_no_answer() -> None:
    found = ask_all({}, "links")
    assert (found.told, found.silent, found.remark()) == ({}, {}, "")


def test_a_daemon_that_refuses_is_an_error(tmp_path: Path) -> None:
    with Daemon(tmp_path / "1", answer(b"unknown query", code=1)), pytest.raises(QueryError, match="unknown query"):
        ask_all({"n1": tmp_path / "1"}, "links")
