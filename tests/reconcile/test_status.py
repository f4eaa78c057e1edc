"""What a user reads in a Topology."""

from __future__ import annotations

import pytest

from meshnet.errors import InvalidObject, Problem
from meshnet.model.codec import decode_topology
from meshnet.model.resource import Kind, Resource
from meshnet.reconcile.cache import Entry
from meshnet.reconcile.end import Joint
from meshnet.reconcile.status import cleared, compose, failures
from meshnet.reconcile.table import Table
from tests.reconcile.made import end, enter, join, link, replan, sandbox, topology
from tests.reconcile.parts import keeper


class Room:
    """r1 with two links to r2, both up."""

    def __init__(self):
        self.table = Table()
        self.r1, self.r2 = sandbox("r1", epoch=4), sandbox("r2")
        self.mine = [end(self.r1, f"eth{n}", f"r2:eth{n}", ifindex=n) for n in (1, 2)]
        self.theirs = [end(self.r2, f"eth{n}", f"r1:eth{n}", ifindex=n + 10) for n in (1, 2)]
        for one, other in zip(self.mine, self.theirs, strict=True):
            join(one, other)
        enter(self.table, self.r1, self.r2)
        self.document = topology("r1", link(1, "eth1", "r2:eth1"), link(1, "eth2", "r2:eth2"))
        self.document["metadata"] |= {"generation": 3, "uid": "u", "resourceVersion": "9"}
        self.invalid = None

    def compose(self, before=None):
        document = {**self.document, "status": before or {}}
        entry = Entry(Resource(Kind.TOPOLOGY, document), decode_topology(self.document), self.invalid)
        return compose(
            self.r1,
            entry,
            other=keeper(self.table).other,
            receive_id=lambda endpoint: int(endpoint.interface.removeprefix("eth")),
            node="n1",
            node_ip="192.0.2.1",
        )

    def ready(self, before=None):
        condition, *_ = self.compose(before)["conditions"]
        return condition


def test_a_running_pod():
    status = Room().compose()

    assert {
        key: status[key] for key in ("node", "container_id", "net_ns", "src_ip", "epoch", "observedGeneration")
    } == {
        "node": "n1",
        "container_id": "c-r1",
        "net_ns": "/run/netns/c-r1",
        "src_ip": "192.0.2.1",
        "epoch": 4,
        "observedGeneration": 3,
    }
    assert [(row["local_intf"], row["state"], row["reason"], row["message"]) for row in status["links"]] == [
        ("eth1", "Up", "", ""),
        ("eth2", "Up", "", ""),
    ]
    (ready,) = status["conditions"]
    assert (ready["type"], ready["status"], ready["reason"], ready["observedGeneration"]) == (
        "Ready",
        "True",
        "LinksReady",
        3,
    )


def test_down_is_ready_and_anything_else_is_not():
    room = Room()
    replan(room.mine[0], down=True)
    assert room.ready()["status"] == "True"
    assert room.compose()["links"][0]["state"] == "Down"
    assert room.compose()["links_ready"] == "2/2"

    room.mine[1].fail("KernelRefused", "out of memory")
    ready = room.ready()
    assert (ready["status"], ready["reason"], ready["message"]) == ("False", "KernelRefused", "eth2: out of memory")
    assert room.compose()["links_ready"] == "1/2"


def test_no_links_is_ready():
    room = Room()
    room.document["spec"]["links"] = []
    assert room.ready()["status"] == "True"


def test_a_link_that_the_running_pod_has_no_interface_for():
    room = Room()
    del room.r1.ends["eth2"]

    status = room.compose()
    assert (status["links"][1]["state"], status["links"][1]["reason"]) == ("Failed", "RestartPod")
    assert status["conditions"][0]["status"] == "False"


def test_a_link_that_is_declared_again_is_not_said_to_be_missing():
    """Its Topology was deleted and is there again; the end has yet to be settled by it."""
    room = Room()
    room.mine[1].plan = None

    status = room.compose()
    row = status["links"][1]
    assert (row["state"], row["reason"], row["peer_pod"]) == ("Pending", "NotObserved", "r2")
    assert row["receive_id"] == 2
    assert failures({}, status) == []


def test_an_external_link_names_its_parent():
    room = Room()
    replan(room.mine[0], peer=None, parent="ens3")
    room.mine[0].joint = Joint(None, 0)

    row = room.compose()["links"][0]
    assert (row["peer_pod"], row["peer_intf"], row["state"]) == ("localhost", "ens3", "Up")


def test_the_time_is_that_of_the_change_of_status_alone():
    room = Room()
    old = {"type": "Ready", "status": "True", "lastTransitionTime": "2001-01-01T00:00:00Z"}
    before = {"conditions": [{"type": "Other", "status": "False", "lastTransitionTime": "x"}, old]}

    assert room.ready(before)["lastTransitionTime"] == "2001-01-01T00:00:00Z"
    room.mine[0].fail("KernelRefused", "no")
    assert room.ready(before)["lastTransitionTime"] != "2001-01-01T00:00:00Z"


@pytest.mark.parametrize(("ready", "stays"), [("False", True), ("True", False)])
def test_a_pod_that_was_not_ready_when_it_ended_has_not_been_since_then(ready, stays):
    before = {"type": "Ready", "status": ready, "lastTransitionTime": "then"}
    (condition,) = cleared({"conditions": [before]})["conditions"]
    assert condition["status"] == "False"
    assert (condition["lastTransitionTime"] == "then") is stays


def test_an_invalid_topology_is_not_ready_though_its_links_are():
    room = Room()
    room.invalid = InvalidObject("Topology default/r1", [Problem("spec.links[0].uid", -1, "0 or more")])
    ready = room.ready()

    assert (ready["status"], ready["reason"]) == ("False", "InvalidTopology")
    assert "spec.links[0].uid: -1" in ready["message"]
    assert [row["state"] for row in room.compose()["links"]] == ["Up", "Up"]


def test_conditions_of_others_stay():
    before = {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Audited", "status": "True", "by": "x"}]}

    for status in (Room().compose(before), cleared(before)):
        ready, foreign = status["conditions"]
        assert ready["type"] == "Ready"
        assert foreign == {"type": "Audited", "status": "True", "by": "x"}


def test_clearing_takes_the_owner_and_leaves_the_epoch():
    patch = cleared({"node": "n1", "epoch": 7, "observedGeneration": 2, "future": 1})

    assert {key for key, value in patch.items() if value is None} == {
        "src_ip",
        "net_ns",
        "container_id",
        "node",
        "pod_uid",
        "links_ready",
        "links",
    }
    assert "epoch" not in patch
    assert patch["conditions"][0]["observedGeneration"] == 2


def test_only_what_newly_fails_is_told():
    room = Room()
    fine = room.compose()
    room.mine[0].fail("KernelRefused", "no")
    failed = room.compose()
    room.mine[1].fail("NameTaken", "taken")
    worse = room.compose()

    assert failures({}, fine) == []
    assert failures(fine, failed) == [("KernelRefused", "link 1 (eth1): no")]
    assert failures(failed, failed) == []
    assert failures(failed, worse) == [("NameTaken", "link 1 (eth2): taken")]
    assert failures(worse, fine) == []


def test_an_invalid_topology_is_told_once_a_message():
    room = Room()
    fine = room.compose()
    room.invalid = InvalidObject("Topology default/r1", [Problem("spec.links[0].uid", -1, "0 or more")])
    invalid = room.compose()
    room.invalid = InvalidObject("Topology default/r1", [Problem("spec.links[0].uid", -2, "0 or more")])
    other = room.compose()

    assert [reason for reason, _ in failures(fine, invalid)] == ["InvalidTopology"]
    assert failures(invalid, invalid) == []
    assert [reason for reason, _ in failures(invalid, other)] == ["InvalidTopology"]


@pytest.mark.parametrize(
    "broken",
    [
        {"links": "all", "conditions": "fine"},
        {"links": ["eth1", None, 3], "conditions": [None, "Ready", 4]},
        {"links": {"eth1": {}}, "conditions": {"type": "Ready"}},
        {"links": 7, "conditions": 7},
        {"links": [{"state": "Failed", "reason": {}}], "conditions": [{"type": "Ready", "message": ["no", "text"]}]},
    ],
)
def test_a_status_that_somebody_broke_is_written_over(broken):
    room = Room()
    status = room.compose(broken)

    assert status == room.compose()
    assert failures(broken, status) == []
    assert cleared(broken)["conditions"][0]["reason"] == "PodNotRunning"
