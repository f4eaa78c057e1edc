"""Sandboxes from the marks on ports: whose they are, which one has the pod, and what their Topology adds."""

from __future__ import annotations

import os

import attrs
import pytest

from meshnet.model import names
from meshnet.model.topology import MAX_EPOCH, Claim, Endpoint
from meshnet.netlink import Redirect
from meshnet.panel.port import PanelPort
from meshnet.reconcile import rebuild as rebuilding
from meshnet.reconcile.adopt import adopt
from meshnet.reconcile.end import Applied
from meshnet.reconcile.rebuild import as_wanted, is_rebuilt, rebuild, recall
from meshnet.reconcile.table import Table
from tests.reconcile.made import end, sandbox


def port(pod, container, interface="eth1", *, number, nsid=3):
    endpoint = Endpoint("default", pod, interface)
    return PanelPort(endpoint, 7, container, f"mn{number}", (1 << 20) + number, nsid=nsid, pod_ifindex=2)


def test_a_sandbox_a_container_with_every_port_of_it():
    ports = [port("r1", "c1", number=1), port("r1", "c1", "eth2", number=2), port("r2", "c2", number=3)]

    one, two = rebuild(ports, [])

    assert (one.pod_key, one.key.container_id, one.nsid) == (("default", "r1"), "c1", 3)
    assert {name: (made.port, made.applied.uid) for name, made in one.ends.items()} == {
        "eth1": (ports[0], 7),
        "eth2": (ports[1], 7),
    }
    assert two.pod_key == ("default", "r2")
    assert all(is_rebuilt(made) for made in (one, two))
    assert not is_rebuilt(sandbox("r1"))


@pytest.mark.parametrize(("number", "current"), [(9, "c-lost"), (1, "c-known")])
def test_the_one_with_the_newer_ports_has_the_pod(number, current):
    known = sandbox("r1", "c-known", epoch=4)
    end(known, "eth1", "r2:eth1", ifindex=(1 << 20) + 5)
    of_known = known.ends["eth1"].port
    of_known.name = "mn5"
    (lost,) = rebuild([port("r1", "c-lost", number=number)], [known])

    assert (lost.epoch > known.epoch) == (current == "c-lost")


def test_the_attachment_that_another_network_made_tells_nothing_of_the_ports_of_the_first():
    """A pod of Multus: the checkpoint of its first attachment is lost, and no interface of it may be."""
    table, lost = Table(), port("r1", "c1", number=1)
    second = sandbox("", "c1")
    second.namespace = second.pod = ""

    adopted = adopt(table, [second], [lost], lambda _: False)

    assert adopted.orphans == []
    assert table.end(lost.endpoint).port is lost


def test_no_epoch_is_beyond_the_last():
    known = sandbox("r1", "c-known", epoch=MAX_EPOCH)
    end(known, "eth1", "r2:eth1", ifindex=(1 << 20) + 5)
    (lost,) = rebuild([port("r1", "c-lost", number=9)], [known])
    table = Table()
    table.add(known)

    assert lost.epoch == table.next_epoch(("default", "r1")) == MAX_EPOCH


def test_of_two_that_are_lost_too():
    older, newer = rebuild([port("r1", "c-new", number=8), port("r1", "c-old", number=2)], [])
    assert (older.key.container_id, newer.key.container_id) == ("c-old", "c-new")
    assert newer.epoch > older.epoch


def test_a_pods_name_that_is_cut_in_one_mark_is_whole_in_another():
    (made,) = rebuild([port("lon~0123456789abcdef", "c1", "eth10", number=1), port("long", "c1", number=2)], [])
    assert made.pod == "long"
    assert {each.endpoint.pod for each in made.ends.values()} == {"long"}


def test_a_pods_name_that_is_cut_everywhere_is_nobodys():
    table = Table()
    adopted = adopt(table, [], [port("lon~0123456789abcdef", "c1", number=1)], lambda _: False)

    assert adopted.orphans == []
    (made,) = table.sandboxes.values()
    assert (made.pod, len(made.ends)) == ("", 1)
    assert table.ends() == []


@pytest.mark.parametrize(("pod", "container"), [("r1", "c1"), ("r" * 200, "c" * 200)])
def test_a_port_that_its_sandboxes_checkpoint_does_not_list_is_known_by_its_mark(pod, container):
    known, table = sandbox(pod, container), Table()
    told = names.parse_mark(names.Mark("default", pod, "eth1", 7, container).alias)
    its = port(told.pod, told.container_id, number=1)
    its.pod_up = True
    adopted = adopt(table, [known], [its], lambda _: False)

    assert adopted.orphans == []
    end = table.end(Endpoint("default", pod, "eth1"))
    assert (end.sandbox, end.port, end.adopted) == (known, its, True)
    assert (end.applied.uid, end.applied.mac) == (7, "")
    assert list(table.sandboxes.values()) == [known]


@pytest.mark.parametrize("trace", ["pod_up", "up", "redirect"])
def test_one_that_was_not_finished_is_an_orphan(trace):
    known, its = sandbox("r1", "c1"), port("r1", "c1", number=1)
    assert adopt(Table(), [known], [its], lambda _: False).orphans == [(1 << 20) + 1]
    setattr(its, trace, Redirect("mirred", 9) if trace == "redirect" else True)
    assert adopt(Table(), [known], [its], lambda _: False).orphans == []


def test_one_that_stands_in_the_way_of_the_listed_one_is_an_orphan():
    known, stray = sandbox("r1", "c1"), port("r1", "c1", number=2)
    end(known, "eth1", "r2:eth1")
    stray.pod_up = True
    assert adopt(Table(), [known], [stray], lambda _: False).orphans == [(1 << 20) + 2]


def test_one_of_two_attachments_of_a_container_goes_to_the_newer():
    attachments = [sandbox("r1", "c1", epoch=epoch) for epoch in (2, 1)]
    its = port("r1", "c1", number=1)
    its.pod_up = True
    adopt(Table(), attachments, [its], lambda _: False)
    assert [len(each.ends) for each in attachments] == [1, 0]


def test_a_status_of_another_sandbox_tells_nothing():
    (made,) = rebuild([port("r1", "c1", number=1)], [])
    claim = Claim(node="n1", container_id="c2", epoch=9, pod_uid="u")
    assert not recall(made, claim, {"net_ns": "/run/netns/c2"})
    assert (made.epoch, made.pod_uid, made.netns) == (0, "", "")


@pytest.mark.parametrize("path", [None, 5, "", "relative", "/no/such/path", "/proc/version", "/run/\0", "/run/\ud800"])
def test_a_path_is_believed_only_when_it_is_the_ports_namespace(path):
    (made,) = rebuild([port("r1", "c1", number=1)], [])
    claim = Claim(node="n1", container_id="c1", epoch=9, pod_uid="u")
    assert recall(made, claim, {"net_ns": path})
    assert (made.epoch, made.pod_uid, made.netns) == (9, "u", "")
    assert not recall(made, claim, {"net_ns": path})


def test_what_may_wait_for_a_writer_is_not_opened(tmp_path, monkeypatch):
    """It would keep the daemon from everything else."""
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setattr(rebuilding, "open_netns", pytest.fail)
    (made,) = rebuild([port("r1", "c1", number=1)], [])
    assert not recall(made, Claim(container_id="c1"), {"net_ns": str(tmp_path / "fifo")})


def test_the_mtu_that_counts_as_applied_is_the_ports_own():
    """The other end has that of the spec as it is by now."""
    made = port("r1", "c1", number=1)
    made.mtu = 1400
    (box,) = rebuild([made], [])
    wanted = Applied(9, "02:00:00:00:00:01", 1500, ("10.0.0.1/24",))

    assert as_wanted(box.ends["eth1"].applied, wanted) == attrs.evolve(wanted, uid=7, mtu=1400)
