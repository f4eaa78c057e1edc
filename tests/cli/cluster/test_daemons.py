"""Questions to the daemons of a cluster: their pods from the API server, the answers from commands there."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.cli.cluster.daemons import NONE, Daemons
from meshnet.errors import StoreUnavailable
from meshnet.stores.kubernetes.exec import STATUS, STDERR, STDOUT
from meshnet.stores.kubernetes.reader import Reader
from tests.cli.cluster.test_pods import RUNNING, pod
from tests.stores.kubernetes.server import Reply, Server, access_to, status
from tests.stores.pod_server import SUCCESS, PodServer, failure

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = {"node": "n1", "links": []}


def daemons(api: Server, pods: str, tmp_path: Path) -> Daemons:
    """Daemons whose pods one server lists, and another one runs."""
    (tmp_path / "pods").mkdir()
    return Daemons(access_to(pods, tmp_path / "pods"), Reader(access_to(api.url, tmp_path)))


def listing(*pods: dict[str, Any]) -> Reply:
    return Reply(body={"items": list(pods)})


def test_all_pods_are_asked_and_who_cannot_answer_is_named(tmp_path: Path) -> None:
    waiting = pod("b", "n2", state={"waiting": {"reason": "ErrImagePull"}})
    with (
        Server(listing(pod("a", "n1", **RUNNING), waiting)) as api,
        PodServer((STDOUT, json.dumps(ANSWER).encode()), (STATUS, SUCCESS)) as pods,
    ):
        found = daemons(api, pods.url, tmp_path).ask("links")
    assert found.told == {"n1": ANSWER}
    assert found.silent == {"n2": "pod meshnet/b: ErrImagePull"}
    assert pods.asked[0]["command"] == ["meshnet", "daemon", "--ask", "links"]
    assert api.asked[0].path == "/api/v1/namespaces/meshnet/pods?labelSelector=name%3Dmeshnet"


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (
            [(STDERR, b"note\nerror: daemon at x: refused\n"), (STATUS, failure(3))],
            "its pod says: daemon at x: refused",
        ),
        ([(STATUS, failure(3))], "its pod says: nothing"),
        ([(STDOUT, b"[]"), (STATUS, SUCCESS)], "must be a mapping"),
        ([(STDOUT, b'{"node": "n1", "links": 5}'), (STATUS, SUCCESS)], "links: 5: must be a list"),
        ([(STDOUT, b"{"), (STATUS, SUCCESS)], "no JSON"),
        ([(STDOUT, b"[" * 50_000), (STATUS, SUCCESS)], "no JSON"),
    ],
)
def test_an_answer_that_is_none_tells_why(messages: list[tuple[int, bytes]], told: str, tmp_path: Path) -> None:
    with Server(listing(pod("a", **RUNNING))) as api, PodServer(*messages) as pods:
        found = daemons(api, pods.url, tmp_path).ask("links")
    assert told in found.silent["n1"]
    assert not found.told


def test_who_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with Server(listing(pod("a", **RUNNING))) as api, PodServer(hold=True) as pods:
        found = daemons(api, pods.url, tmp_path).ask("links")
    assert "no answer within " in found.silent["n1"]


@pytest.mark.parametrize(
    ("reply", "told"), [(Reply(403, status(403, "Forbidden")), "may not list pods"), (listing(), NONE)]
)
def test_without_pods_there_is_nobody_to_ask(reply: Reply, told: str, tmp_path: Path) -> None:
    with Server(reply) as api:
        asked = daemons(api, api.url, tmp_path)
        found = asked.ask("links")
        assert told in found.trouble
        assert told in found.remark()
        with pytest.raises(StoreUnavailable, match=told.partition("(")[0]):
            asked.run(["true"], 1.0)


def test_who_may_not_run_commands_is_told_for_each_node(tmp_path: Path) -> None:
    refused = Reply(403, status(403, "Forbidden"))
    with Server(listing(pod("a", **RUNNING))) as api, Server(refused) as pods:
        found = daemons(api, pods.url, tmp_path).ask("links")
    assert "may not get pods/exec" in found.silent["n1"]
