"""What an edit of a Topology does to running pods, and what it leaves alone."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.kernel.daemons import indexes, link, pair, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from tests.kernel.daemons import DaemonNode, PodBox

pytestmark = pytest.mark.kernel


def triangle(**fields: Any) -> list[dict[str, Any]]:
    """Three pods, each linked with each; `fields` go into the link between a and b, at a's end."""
    return [
        topology(
            "a",
            link(1, "eth1", "b:eth1", local_ip="10.0.1.1/24", **fields),
            link(2, "eth2", "c:eth1", local_ip="10.0.2.1/24"),
        ),
        topology(
            "b",
            link(1, "eth1", "a:eth1", local_ip="10.0.1.2/24"),
            link(3, "eth2", "c:eth2", local_ip="10.0.3.1/24"),
        ),
        topology(
            "c",
            link(2, "eth1", "a:eth2", local_ip="10.0.2.2/24"),
            link(3, "eth2", "b:eth2", local_ip="10.0.3.2/24"),
        ),
    ]


def pings(pod: PodBox, address: str) -> bool:
    return " 1 received" in pod.run("ping", "-c", "1", "-W", "1", address, check=False)


def condition(node: DaemonNode, name: str) -> dict[str, Any]:
    conditions = node.status(name).get("conditions") or [{}]
    return dict(conditions[0])


def test_other_links_do_not_notice_edits(node: DaemonNode) -> None:
    node.apply(*triangle())
    a, b, c = node.up("a", "b", "c")
    assert eventually(lambda: pings(b, "10.0.3.2"))
    before = indexes(b, c)
    with b.running("ping", "-q", "-i", "0.002", "-w", "4", "10.0.3.2") as ping:
        node.apply(*triangle(mtu=1400))
        assert eventually(lambda: a.links()["eth1"].mtu == b.links()["eth1"].mtu == 1400)
        node.apply(*triangle(options={"offload": True}), topology("d", link(9, "eth1", "a:eth2")))
        time.sleep(0.2)
        node.apply(*triangle(down=True))
        assert eventually(lambda: not b.carrier("eth1"))
        node.apply(topology("a"))
        assert eventually(lambda: a.links() == {})
        node.apply(*triangle())
        assert eventually(lambda: pings(a, "10.0.1.2"))
        assert node.delete(a).done
        report, _ = ping.communicate(timeout=20)

    found = re.search(r"(\d+) packets transmitted, (\d+) received", report)
    assert found
    assert int(found[1]) > 100
    assert found[1] == found[2], report
    assert indexes(b, c) == before


def test_a_link_comes_and_goes_with_its_interface(node: DaemonNode) -> None:
    a_alone = topology("a", link(2, "eth2", "c:eth1", local_ip="10.0.2.1/24"))
    _, b, c = triangle()
    node.apply(a_alone, b, c)
    pod_a, pod_b, pod_c = node.up("a", "b", "c")
    assert eventually(lambda: pings(pod_a, "10.0.2.2"))
    assert node.state("b") == ("Pending", "PeerMissing")
    first = pod_a.links()

    node.apply(*triangle())
    assert eventually(lambda: "eth1" in pod_a.links() and pings(pod_a, "10.0.1.2"))
    assert pod_a.links()["eth2"].ifindex == first["eth2"].ifindex
    assert eventually(lambda: condition(node, "a")["status"] == "True", within=15)

    node.apply(a_alone)
    assert eventually(lambda: set(pod_a.links()) == {"eth2"})
    assert eventually(lambda: not pod_b.carrier("eth1"))
    assert pings(pod_a, "10.0.2.2")
    assert len(node.ports()) == 5
    assert pod_c.carrier("eth1")


def test_an_interface_goes_with_its_link_whatever_mark_somebody_gave_its_port(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)
    for port in node.ports():
        node.run(f"ip link set {port} alias uplink")

    node.apply(topology("r1"), topology("r2"))

    assert eventually(lambda: not r1.links() and not r2.links()), r1.links()


def test_a_new_link_whose_peer_has_no_room_for_it_says_so_at_both_ends(node: DaemonNode) -> None:
    # b loses a link, too: the kernel takes its time for that, and a has looked for the new one in vain by then
    node.apply(topology("a"), topology("b", link(2, "eth2", "c:eth1")))
    _, b = node.up("a", "b")
    b.run("ip", "link", "add", "eth1", "type", "bridge")

    node.apply(topology("a", link(1, "eth1", "b:eth1")), topology("b", link(1, "eth1", "a:eth1")))

    assert eventually(lambda: node.state("b") == ("Failed", "NameTaken"))
    assert eventually(lambda: node.state("a") == ("Pending", "PeerNotPatched")), node.state("a")


def test_recabling_keeps_the_interface(node: DaemonNode) -> None:
    node.apply(*triangle())
    a, b, c = node.up("a", "b", "c")
    assert eventually(lambda: pings(a, "10.0.1.2"))
    before = a.links()["eth1"]

    # the same uid, now for another pair of ends: a:eth1 goes from b:eth1 to c:eth3
    node.apply(
        topology("a", link(1, "eth1", "c:eth3", local_ip="10.0.1.1/24")),
        topology("b"),
        topology("c", link(1, "eth3", "a:eth1", local_ip="10.0.1.3/24")),
    )
    assert eventually(lambda: "eth3" in c.links() and pings(a, "10.0.1.3"))
    after = a.links()["eth1"]
    assert (after.ifindex, after.mac, after.mtu) == (before.ifindex, before.mac, before.mtu)
    assert b.links() == {}
    assert set(a.links()) == {"eth1"}


def test_recabling_goes_on_after_somebody_took_the_filters_away(node: DaemonNode) -> None:
    """Between two passes nobody sees that they are gone."""
    node.apply(topology("a", link(1, "eth1", "b:eth1")), topology("b", link(1, "eth1", "a:eth1")))
    a, b, c = node.up("a", "b", "c")
    assert eventually(lambda: a.carrier() and b.carrier())
    for port in node.ports():
        node.run(f"tc qdisc del dev {port} clsact")

    node.apply(topology("a", link(2, "eth1", "c:eth1")), topology("b"), topology("c", link(2, "eth1", "a:eth1")))
    assert eventually(lambda: "eth1" in c.links() and a.carrier() and c.carrier())
    assert eventually(lambda: b.links() == {})
    assert node.cni("CHECK", a).done


def test_one_uid_for_two_pairs_is_two_links(node: DaemonNode) -> None:
    node.apply(
        topology("a", link(1, "eth1", "b:eth1", local_ip="10.0.1.1/24")),
        topology("b", link(1, "eth1", "a:eth1", local_ip="10.0.1.2/24")),
        topology("c", link(1, "eth1", "d:eth1", local_ip="10.0.1.1/24")),
        topology("d", link(1, "eth1", "c:eth1", local_ip="10.0.1.2/24")),
    )
    a, b, c, d = node.up("a", "b", "c", "d")

    assert eventually(lambda: pings(a, "10.0.1.2") and pings(c, "10.0.1.2"))
    assert node.delete(b).done
    assert eventually(lambda: not a.carrier())
    assert c.carrier()
    assert d.carrier()


def test_a_pod_linked_with_itself(node: DaemonNode) -> None:
    node.apply(
        topology(
            "a", link(1, "eth1", "a:eth2", local_ip="10.0.1.1/24"), link(1, "eth2", "a:eth1", local_ip="10.0.1.2/24")
        )
    )
    (a,) = node.up("a")

    assert eventually(lambda: a.carrier("eth1") and a.carrier("eth2"))
    a.run("ip", "link", "set", "eth1", "down")
    assert eventually(lambda: not a.carrier("eth2"))
    a.run("ip", "link", "set", "eth1", "up")
    assert eventually(lambda: a.carrier("eth1") and a.carrier("eth2"))
    assert node.delete(a).done
    assert node.ports() == {}


def test_the_longest_interface_names(node: DaemonNode) -> None:
    name, other = "abcdefghijklmno", "ABCDEFGHIJKLMNO"
    node.apply(
        topology("a", link(1, name, f"b:{other}", local_ip="10.0.1.1/24")),
        topology("b", link(1, other, f"a:{name}", local_ip="10.0.1.2/24")),
    )
    a, b = node.up("a", "b")

    assert eventually(lambda: pings(a, "10.0.1.2"))
    assert set(b.links()) == {other}


@pytest.mark.parametrize(("before", "after"), [(1500, 1400), (1400, 9000), (None, 1300), (1300, None)])
def test_an_mtu_follows_at_both_ends(node: DaemonNode, before: int | None, after: int | None) -> None:
    def documents(mtu: int | None) -> list[dict[str, Any]]:
        return triangle(**({"mtu": mtu} if mtu else {}))

    node.apply(*documents(before))
    a, b = node.up("a", "b")
    assert eventually(lambda: a.carrier() and a.links()["eth1"].mtu == b.links()["eth1"].mtu == (before or 1500))

    node.apply(*documents(after))

    assert eventually(lambda: a.links()["eth1"].mtu == b.links()["eth1"].mtu == (after or 1500))
    assert {node.ports()[row["port"]].mtu for row in node.ask("links")["links"] if row["interface"] == "eth1"} == {
        after or 1500
    }


def test_addresses_and_mac_follow_and_those_of_the_pod_stay(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, _ = node.up("r1", "r2")
    index = r1.links()["eth1"].ifindex
    r1.run("ip", "addr", "add", "10.9.9.9/32", "dev", "eth1")

    node.apply(
        topology("r1", link(1, "eth1", "r2:eth1", local_ip="10.0.0.7/24", local_mac="02:11:22:33:44:55", mtu=1500))
    )

    assert eventually(lambda: sorted(r1.addresses()) == ["10.0.0.7/24", "10.9.9.9/32"])
    assert eventually(lambda: r1.links()["eth1"].mac == "02:11:22:33:44:55")
    assert r1.links()["eth1"].ifindex == index
    assert eventually(lambda: pings(r1, "10.0.0.2"))


@pytest.mark.parametrize("promote", ["0", "1"])
def test_an_address_that_goes_takes_no_other_and_no_route_with_it(node: DaemonNode, promote: str) -> None:
    """The kernel takes all of a subnet with its first address, unless the interface is told otherwise."""

    def edit(*addresses: str) -> None:
        node.apply(topology("r1", link(1, "eth1", "r2:eth1", local_ips=addresses, mtu=1500)))

    node.apply(*pair())
    edit("10.0.0.1/24", "10.0.0.3/24", "2001:db8::1/64")
    (r1,) = node.up("r1")
    sysctl = "net.ipv4.conf.eth1.promote_secondaries"
    r1.run("sysctl", "-w", f"{sysctl}={promote}")
    r1.run("ip", "addr", "add", "10.0.0.9/24", "dev", "eth1")
    r1.run("ip", "route", "add", "192.0.2.0/24", "via", "10.0.0.2")

    edit("10.0.0.3/24", "10.0.0.7/24", "2001:db8::1/127")

    assert eventually(lambda: "2001:db8::1/127" in r1.addresses())
    assert sorted(r1.addresses()) == ["10.0.0.3/24", "10.0.0.7/24", "10.0.0.9/24", "2001:db8::1/127"]
    edit("10.0.0.8/24")
    assert eventually(lambda: sorted(r1.addresses()) == ["10.0.0.8/24", "10.0.0.9/24"])
    edit("10.0.0.8/28")
    assert eventually(lambda: sorted(r1.addresses()) == ["10.0.0.8/28", "10.0.0.9/24"])
    assert "192.0.2.0/24 via 10.0.0.2" in r1.run("ip", "route")
    assert r1.run("sysctl", "-n", sysctl).strip() == promote


def test_an_mtu_too_small_for_ipv6_may_come_and_go_with_the_addresses(node: DaemonNode) -> None:
    """Below 1280 the kernel takes all of IPv6 off an interface."""
    four, six = "10.0.0.1/24", "2001:db8::1/64"
    node.apply(topology("r2", link(1, "eth1", "r1:eth1", local_ip="10.0.0.2/24")))

    def edit(*addresses: str, mtu: int) -> None:
        node.apply(topology("r1", link(1, "eth1", "r2:eth1", local_ips=addresses, mtu=mtu)))

    edit(four, six, mtu=1500)
    r1, r2 = node.up("r1", "r2")
    assert eventually(lambda: pings(r1, "10.0.0.2"))

    edit(four, mtu=1000)
    assert eventually(lambda: r1.links()["eth1"].mtu == r2.links()["eth1"].mtu == 1000)
    assert eventually(lambda: r1.addresses() == [four] and pings(r1, "10.0.0.2"))
    edit(four, six, mtu=1500)
    assert eventually(lambda: sorted(r1.addresses()) == [four, six])
    assert eventually(lambda: pings(r1, "10.0.0.2"))


def test_an_mtu_that_the_peer_gives_takes_no_ipv6_address_away(node: DaemonNode) -> None:
    """Such ends are no link; when the peer's entry is put right they are, with the addresses that they had."""
    addresses = ["10.0.0.1/24", "2001:db8::1/64"]
    peer = {"local_ip": "10.0.0.2/24"}
    node.apply(topology("r1", link(1, "eth1", "r2:eth1", local_ips=addresses)))
    node.apply(topology("r2", link(1, "eth1", "r1:eth1", **peer)))
    r1, r2 = node.up("r1", "r2")
    assert eventually(lambda: pings(r1, "10.0.0.2"))

    node.apply(topology("r2", link(1, "eth1", "r1:eth1", mtu=1000, **peer)))
    assert eventually(lambda: r2.links()["eth1"].mtu == 1000)
    assert eventually(lambda: node.state("r1") == node.state("r2") == ("Failed", "PeerMismatch"))
    assert sorted(r1.addresses()) == addresses
    node.apply(topology("r2", link(1, "eth1", "r1:eth1", **peer)))
    assert eventually(lambda: pings(r1, "10.0.0.2"))
    assert sorted(r1.addresses()) == addresses


def test_deleting_a_topology_only_unplugs_until_del(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)
    before = r1.links()["eth1"].ifindex

    node.withdraw("r1")
    assert eventually(lambda: not r1.carrier() and not r2.carrier())
    assert r1.addresses() == ["10.0.0.1/24"]
    assert node.state("r1") == ("Failed", "TopologyMissing")
    assert eventually(lambda: node.state("r2")[1] == "PeerMissing")

    node.apply(*pair())
    assert eventually(lambda: pings(r1, "10.0.0.2"))
    assert r1.links()["eth1"].ifindex == before
    # the new object knows its pod again
    assert eventually(lambda: node.status("r1").get("container_id") == r1.container, within=15)
    assert eventually(lambda: condition(node, "r1").get("status") == "True", within=15)

    node.withdraw("r1")
    assert node.delete(r1).done
    assert len(node.ports()) == 1


def test_a_topology_that_comes_after_its_pod(node: DaemonNode) -> None:
    r1, r2 = node.up("r1", "r2")
    assert r1.links() == {}

    node.apply(*pair())

    assert eventually(lambda: "eth1" in r1.links() and "eth1" in r2.links())
    assert eventually(lambda: pings(r1, "10.0.0.2"))
    assert eventually(lambda: node.status("r1").get("node") == "n1", within=15)
    assert node.status("r1")["container_id"] == r1.container
    assert eventually(lambda: condition(node, "r1").get("status") == "True", within=15)
    assert node.delete(r1).done
    assert eventually(lambda: not node.status("r1").get("node"))


def test_unplugged_at_either_end(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)

    node.apply(pair(down=True)[1])
    assert eventually(lambda: not r1.carrier() and not r2.carrier())
    assert eventually(lambda: node.state("r1") == node.state("r2") == ("Down", "Unplugged"))
    assert eventually(lambda: condition(node, "r1").get("status") == "True", within=15)

    node.apply(pair()[1])
    assert eventually(lambda: pings(r1, "10.0.0.2"))


@pytest.mark.parametrize(
    ("other", "state", "reason"),
    [
        (topology("r2", link(2, "eth1", "r1:eth1")), "Failed", "PeerMismatch"),
        (topology("r2", link(1, "eth1", "r3:eth1")), "Failed", "PeerMismatch"),
        (topology("r2", link(1, "eth2", "r1:eth1")), "Pending", "PeerMissing"),
        (topology("r2", link(1, "eth1", "r1:eth1", mtu=1400)), "Failed", "PeerMismatch"),
        (topology("r2", link(1, "eth1", "r1:eth1", driver="no-such")), "Failed", "DriverMissing"),
        (topology("r2", link(1, "eth1", "r1:eth1", driver="macvlan")), "Failed", "DriverUnsuitable"),
        (topology("r2", link(1, "eth1", "r1:eth1", options={"no": "such"})), "Failed", "InvalidOptions"),
        (topology("r2", link(1, "eth1", "r1:eth1", local_ip="300.0.0.1/24")), "Failed", "PeerInvalid"),
    ],
    ids=["uid", "peer", "interface", "mtu", "driver", "unsuitable", "options", "invalid"],
)
def test_a_peer_that_does_not_agree(node: DaemonNode, other: dict[str, Any], state: str, reason: str) -> None:
    one, agreeing = pair()
    node.apply(one, other)
    (r1,) = node.up("r1")
    r2 = node.pod("r2")
    node.add(r2)

    assert eventually(lambda: node.state("r1") == (state, reason))
    assert not r1.carrier()
    assert eventually(lambda: condition(node, "r1").get("reason") == reason, within=15)

    node.apply(agreeing)
    node.add(r2)
    assert eventually(lambda: node.state("r1") == ("Up", ""))
    assert eventually(lambda: pings(r1, "10.0.0.2"))


def test_all_that_is_wrong_at_a_peer_of_many_links_keeps_no_status_from_being_written(node: DaemonNode) -> None:
    many = range(1, 151)
    wrong = (link(number, f"eth{number}", f"r2:eth{number}", local_ip="300.0.0.1/24") for number in many)
    right = (link(number, f"eth{number}", f"r1:eth{number}") for number in many)
    node.apply(topology("r1", *wrong), topology("r2", *right))
    node.up("r2")

    assert eventually(lambda: node.state("r2") == ("Failed", "PeerInvalid"))
    told = {entry["message"] for entry in node.status("r2")["links"]}
    (message,) = told
    assert message.startswith("Topology default/r1: spec.links[0].local_ip: '300.0.0.1/24': must be one address")
    assert message.endswith(", and 149 more")


@pytest.mark.parametrize("own", [{}, {"options": {"no": "such"}}], ids=["InvalidOptions", "PeerMismatch"])
def test_a_peers_option_of_whatever_length_keeps_no_pod_from_starting(
    node: DaemonNode, own: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    long = {"no": "\\" * 500_000}  # twice as long where it is shown, and again where that is stored
    one = topology("r1", link(1, "eth1", "r2:eth1", options=long))
    node.apply(one, topology("r2", link(1, "eth1", "r1:eth1", **own)))
    node.up("r1", "r2")

    assert eventually(lambda: node.state("r2") == ("Failed", request.node.callspec.id))
    (entry,) = node.status("r2")["links"]
    assert "options.no" in entry["message"]
    assert len(entry["message"]) <= 1000


def test_an_invalid_edit_keeps_what_is_wired_and_says_so(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, _ = node.up("r1", "r2")
    assert eventually(r1.carrier)

    node.apply(topology("r1", link(1, "this-name-is-too-long", "r2:eth1")))

    assert eventually(lambda: condition(node, "r1").get("reason") == "InvalidTopology", within=15)
    assert "spec.links[0].local_intf" in condition(node, "r1")["message"]
    assert condition(node, "r1")["observedGeneration"] == node.stored("r1").generation
    assert pings(r1, "10.0.0.2")
    assert node.events("r1").count("InvalidTopology") == 1


def test_what_an_invalid_edit_keeps_wired_stays_so_over_a_restart(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)
    node.apply(topology("r1", link(1, "this-name-is-too-long", "r2:eth1")))
    assert eventually(lambda: condition(node, "r1").get("reason") == "InvalidTopology", within=15)

    node.kill()
    node.start()

    for _ in range(20):
        assert [pod.carrier() for pod in (r1, r2)] == [True, True]
        time.sleep(0.1)
    assert pings(r1, "10.0.0.2")
    assert [row["state"] for row in node.ask("links")["links"]] == ["Up", "Up"]
    assert condition(node, "r1")["reason"] == "InvalidTopology"


def test_a_survivor_does_not_change_while_its_peer_comes_and_goes(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    before = (r1.links()["eth1"].ifindex, r1.links()["eth1"].mac, r1.addresses())
    port = next(row["port"] for row in node.ask("links")["links"] if row["pod"] == "r1")

    for round_ in range(25):
        assert eventually(r1.carrier)
        assert node.delete(r2).done
        assert eventually(lambda: not r1.carrier())
        r2 = node.pod("r2", f"c-{round_}")
        assert node.add(r2).done
    assert eventually(lambda: pings(r1, "10.0.0.2"))

    assert (r1.links()["eth1"].ifindex, r1.links()["eth1"].mac, r1.addresses()) == before
    assert port in node.ports()
    assert node.status("r2")["epoch"] == 26
