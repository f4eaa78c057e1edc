"""What a runtime may do to meshnet, through the real plugin and a real daemon."""

from __future__ import annotations

import itertools
import json
import os
import re
from typing import TYPE_CHECKING

import pytest

from meshnet.cni.frame import MAX_TOTAL
from meshnet.cni.versions import SUPPORTED
from tests.kernel.daemons import NODE_IP, link, pair, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from tests.kernel.daemons import DaemonNode, PodBox

pytestmark = pytest.mark.kernel

PRIMARY = {"name": "eth0", "mac": "02:00:00:00:00:aa", "sandbox": "/run/netns/any"}


def test_two_pods_are_wired(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")

    assert eventually(r1.carrier)
    assert eventually(r2.carrier)
    assert r1.addresses() == ["10.0.0.1/24"]
    r1.run("ping", "-c", "1", "-W", "5", "10.0.0.2")
    assert node.state("r1") == ("Up", "")
    assert node.status("r1")["node"] == "n1"
    assert node.status("r1")["container_id"] == r1.container
    assert node.status("r1")["src_ip"] == NODE_IP


def test_the_interface_is_there_without_the_peer_and_has_no_carrier(node: DaemonNode) -> None:
    node.apply(*pair())
    (r1,) = node.up("r1")
    first = r1.links()["eth1"]

    assert (first.up, first.carrier, r1.addresses()) == (True, False, ["10.0.0.1/24"])
    assert node.state("r1") == ("Pending", "PeerNotRunning")

    node.up("r2")
    assert eventually(r1.carrier)
    assert r1.links()["eth1"].ifindex == first.ifindex


def test_del_takes_the_ports_and_the_claim_and_carrier_of_the_peer(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    assert eventually(r1.carrier)

    assert node.delete(r2).done

    assert len(node.ports()) == 1
    assert "eth1" not in r2.links()
    assert eventually(lambda: not r1.carrier())
    assert not node.status("r2").get("node")
    assert not node.status("r2").get("container_id")
    assert node.status("r2")["conditions"][0]["reason"] == "PodNotRunning"
    assert node.state("r1") == ("Pending", "PeerNotRunning")


def test_del_takes_the_ports_whatever_marks_somebody_gave_them(node: DaemonNode) -> None:
    node.apply(*pair())
    (r1,) = node.up("r1")
    (port,) = node.ports()
    node.run(f"ip link set {port} alias uplink")

    assert node.delete(r1).done
    assert "eth1" not in r1.links()

    assert node.add(r1).done  # the same namespace gets its interface anew
    assert node.state("r1") == ("Pending", "PeerNotRunning")


@pytest.mark.parametrize("network", ["lab", "other"])
def test_a_second_attachment_of_a_pod_takes_nothing_from_the_first(node: DaemonNode, network: str) -> None:
    """As Multus makes one, where the network that it adds chains meshnet, too."""
    node.apply(*pair())
    r1, _ = node.up("r1", "r2")
    more = {"env": {"CNI_IFNAME": "net1"}, "name": network}
    for _ in range(2):
        assert node.add(r1, **more).done
        assert (node.state("r1"), r1.carrier()) == (("Up", ""), True)
    node.kill()
    node.start()
    assert eventually(lambda: node.state("r1") == ("Up", ""))

    assert node.delete(r1, **more).done

    assert (node.state("r1"), r1.carrier()) == (("Up", ""), True)
    r1.run("ping", "-c", "1", "-W", "5", "10.0.0.2")
    assert len(node.ports()) == 2


@pytest.mark.parametrize("netns", [None, "", "/run/netns/gone"])
def test_del_succeeds_however_often_and_whatever_netns(node: DaemonNode, netns: str | None) -> None:
    node.apply(*pair())
    (r1,) = node.up("r1")

    for _ in range(3):
        assert node.delete(r1, netns=netns).done

    assert node.ports() == {}
    assert list((node.directory / "run" / "sandboxes").iterdir()) == []


def test_del_of_what_never_was_succeeds(node: DaemonNode) -> None:
    assert node.delete(node.pod("nobody")).done


def test_add_again_answers_the_same_and_makes_nothing_anew(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, _ = node.up("r1", "r2")
    before, ports = r1.links(), node.ports()
    epoch = node.status("r1")["epoch"]
    first = node.add(r1).result

    assert node.add(r1).result == first
    assert {name: info.ifindex for name, info in r1.links().items()} == {"eth1": before["eth1"].ifindex}
    assert node.ports().keys() == ports.keys()
    assert node.status("r1")["epoch"] == epoch


def test_an_old_del_after_the_new_add_leaves_the_new_pod_alone(node: DaemonNode) -> None:
    node.apply(*pair())
    r1, r2 = node.up("r1", "r2")
    newer = node.pod("r1", "c-newer")

    assert node.add(newer).done
    assert node.delete(r1).done

    assert eventually(newer.carrier)
    assert eventually(r2.carrier)
    assert node.status("r1")["container_id"] == "c-newer"
    assert node.status("r1")["epoch"] == 2
    newer.run("ping", "-c", "1", "-W", "5", "10.0.0.2")
    assert len(node.ports()) == 2


def test_a_sandbox_that_was_taken_over_is_unplugged_at_once(node: DaemonNode) -> None:
    node.apply(*pair())
    old, r2 = node.up("r1", "r2")
    assert eventually(lambda: old.carrier() and r2.carrier())
    newer = node.pod("r1", "c-newer")

    assert node.add(newer).done

    assert not old.carrier()
    assert eventually(lambda: " 1 received" in newer.run("ping", "-c1", "-W1", "10.0.0.2", check=False))
    assert not old.carrier()


def test_adds_and_dels_of_one_pod_at_once(node: DaemonNode) -> None:
    node.apply(*pair())
    (r2,) = node.up("r2")
    pods = [node.pod("r1", f"c-{number}") for number in range(6)]
    calls = []
    for old, new in itertools.pairwise(pods):
        calls += [node.cni_begin("ADD", old), node.cni_begin("DEL", old), node.cni_begin("ADD", new)]
    for call in calls:
        out, err = call.communicate(timeout=30)
        assert call.returncode == 0, (out, err)

    assert all(node.delete(pod).done for pod in pods[:-1])
    assert node.add(pods[-1]).done
    assert eventually(pods[-1].carrier)
    assert eventually(r2.carrier)
    assert len(node.ports()) == 2
    assert node.status("r1")["container_id"] == pods[-1].container


def test_a_sandbox_whose_successor_is_gone_has_the_pod_again(node: DaemonNode) -> None:
    node.apply(*pair())
    (r2,) = node.up("r2")
    first, second = node.pod("r1", "c-1"), node.pod("r1", "c-2")
    assert node.add(first).done
    assert node.add(second).done
    assert node.delete(second).done

    assert node.add(first).done
    assert eventually(first.carrier)
    assert eventually(r2.carrier)
    assert node.status("r1")["container_id"] == first.container


def test_a_hundred_adds_at_once(node: DaemonNode) -> None:
    hundred = range(100)
    node.apply(
        *(
            topology(
                f"p{number}",
                link(number, "eth1", f"p{(number + 1) % 100}:eth2"),
                link((number - 1) % 100, "eth2", f"p{(number - 1) % 100}:eth1"),
            )
            for number in hundred
        )
    )
    pods = [node.pod(f"p{number}") for number in hundred]
    calls = [node.cni_begin("ADD", pod) for pod in pods]
    answers = [(call.communicate(timeout=60), call.returncode) for call in calls]

    assert [answer for answer in answers if answer[1]] == []
    assert eventually(lambda: all(info.carrier for pod in pods for info in pod.links().values()), within=20)
    assert len(node.ports()) == 200
    calls = [node.cni_begin("DEL", pod) for pod in pods]
    assert [call.returncode for call in calls if call.communicate(timeout=60) and call.returncode] == []
    assert node.ports() == {}


WRONG = {
    b"": 6,
    b"\xff\xfe garbage": 6,
    b"[1]": 6,
    b'{"cniVersion": "1.1.0", "name": "mesh"': 6,
    b"[" * 100_000: 6,
    b'{"cniVersion": "9.9.9", "name": "mesh"}': 1,
    b'{"cniVersion": "1.1.0", "name": "../mesh"}': 7,
    b'{"cniVersion": "1.1.0", "name": "mesh", "prevResult": []}': 7,
    b'{"cniVersion": "1.1.0", "name": "mesh", "x": "' + b"y" * MAX_TOTAL + b'"}': 5,
}


def test_a_wrong_configuration_is_refused_and_nothing_made(node: DaemonNode) -> None:
    node.apply(*pair())
    r1 = node.pod("r1")
    for stdin, code in WRONG.items():
        error = node.add(r1, stdin=stdin).error

        assert (error["code"], bool(error["msg"])) == (code, True), stdin[:80]
        assert r1.links() == {}, stdin[:80]
        assert node.ask("sandboxes")["sandboxes"] == [], stdin[:80]


def test_add_without_a_namespace_is_refused(node: DaemonNode) -> None:
    node.apply(*pair())
    r1 = node.pod("r1")
    for netns in ("/proc/self/fd/999", "/nowhere", "", "relative", "/dev/null"):
        error = node.add(r1, netns=netns).error

        assert error["code"] == 4, netns
        assert "CNI_NETNS" in error["msg"], netns
        assert node.ports() == {}, netns


def test_add_with_the_nodes_own_namespace_is_refused(node: DaemonNode) -> None:
    node.apply(*pair())

    assert node.add(node.pod("r1"), netns="/proc/self/ns/net").error["code"] == 8
    assert node.ports() == {}


@pytest.mark.parametrize("chained", [False, True], ids=["alone", "chained"])
@pytest.mark.parametrize("addresses", [False, True], ids=["", "resultAddresses"])
def test_an_answer_is_in_the_callers_version_and_keeps_what_came_before(
    node: DaemonNode, chained: bool, addresses: bool
) -> None:
    node.apply(*pair())
    r1 = node.pod("r1")
    for version in SUPPORTED:
        assert_answered(node, r1, version, chained=chained, addresses=addresses)


def assert_answered(node: DaemonNode, r1: PodBox, version: str, *, chained: bool, addresses: bool) -> None:
    old = version < "0.3.0"
    ip = {"ip4": {"ip": "192.0.2.7/24"}} if old else {"ips": [{"address": "192.0.2.7/24", "interface": 0}]}
    prev = {"cniVersion": version, "dns": {"nameservers": ["192.0.2.53"]}, "future": {"kept": True}, **ip}
    if not old:
        prev["interfaces"] = [PRIMARY]
        if version < "1.0.0":
            prev["ips"][0]["version"] = "4"
    config = {"cniVersion": version} | ({"prevResult": prev} if chained else {})
    if addresses:
        config["resultAddresses"] = True

    result = node.add(r1, **config).result

    assert result["cniVersion"] == version
    if chained:
        ours = ("interfaces", "ips")
        assert {key: value for key, value in result.items() if key not in ours or old} == {
            key: value for key, value in prev.items() if key not in ours or old
        }
    if not old:
        (made,) = [entry for entry in result["interfaces"] if entry != PRIMARY]
        eth1 = r1.links()["eth1"]
        assert (made["name"], made["mac"], made["sandbox"]) == ("eth1", eth1.mac, r1.netns)
        assert made.get("mtu") == (1500 if version >= "1.1.0" else None)
        told = [entry for entry in result.get("ips", []) if entry["address"] == "10.0.0.1/24"]
        assert len(told) == addresses
        assert len(result.get("ips", [])) == chained + addresses
        for entry in told:
            assert result["interfaces"][entry["interface"]]["name"] == "eth1"
    assert node.delete(r1, **config).done
    assert node.ports() == {}


def test_a_result_that_the_plugin_cannot_print_is_told_with_its_size(node: DaemonNode) -> None:
    node.apply(*pair())
    r1 = node.pod("r1")
    prev = {"cniVersion": "1.1.0", "interfaces": [PRIMARY], "future": "x" * (2 << 20)}

    error = node.add(r1, cniVersion="1.1.0", prevResult=prev).error
    assert error["code"] == 999
    assert re.fullmatch(r"the result has 2097\d{3} bytes, and may have 2097151: right would be .+", error["msg"])

    assert node.delete(r1).done
    assert node.ports() == {}


def test_a_name_that_the_pod_has_is_told_before_its_peer_is_there(node: DaemonNode) -> None:
    node.apply(*pair())
    r1 = node.pod("r1")
    r1.run("ip", "link", "add", "eth1", "type", "bridge")

    assert "interfaces" not in node.add(r1).result

    assert node.state("r1") == ("Failed", "NameTaken")
    assert eventually(lambda: "NameTaken" in node.events("r1"))


def test_a_pod_without_a_topology_passes(node: DaemonNode) -> None:
    stranger = node.pod("stranger")
    prev = {"cniVersion": "1.0.0", "interfaces": [PRIMARY], "ips": [{"address": "192.0.2.7/24"}]}

    assert node.add(stranger, cniVersion="1.0.0", prevResult=prev).result == prev
    assert stranger.links() == {}
    (sandbox,) = node.ask("sandboxes")["sandboxes"]
    assert sandbox["container_id"] == stranger.container
    assert node.cni("CHECK", stranger, cniVersion="1.0.0", prevResult=prev).done
    assert node.delete(stranger).done
    assert node.ask("sandboxes")["sandboxes"] == []


@pytest.mark.parametrize("arguments", ["", "IgnoreUnknown=1;K8S_POD_NAME=r1"], ids=["none", "podman"])
def test_a_call_that_names_no_pod_passes(node: DaemonNode, arguments: str) -> None:
    node.apply(*pair())
    box = node.pod("r1")

    assert node.add(box, env={"CNI_ARGS": arguments}).result == {"cniVersion": "1.1.0"}
    assert not node.status("r1")
    assert node.delete(box, env={"CNI_ARGS": arguments}).done


def test_an_invalid_topology_is_an_error_with_its_path(node: DaemonNode) -> None:
    node.apply(topology("r1", link(1, "eth1", "r2:eth1"), link(-3, "way-too-long-a-name", "r3:eth1")))

    error = node.add(node.pod("r1")).error

    assert error["code"] == 100
    assert "spec.links[1].local_intf" in error["msg"]
    assert "spec.links[1].uid" in error["msg"]
    assert node.ports() == {}


def test_status_is_the_age_of_the_alive_file(node: DaemonNode) -> None:
    alive = node.directory / "run" / "alive"
    body = {"cniVersion": "1.1.0", "name": "mesh", "type": "meshnet"}

    def status() -> tuple[str, int]:
        call = node.cni_begin("STATUS", None, stdin=json.dumps(body).encode())
        out, _ = call.communicate(timeout=10)
        return out, call.returncode

    assert eventually(alive.exists)
    assert status() == ("", 0)
    node.kill()
    assert status() == ("", 0)
    long_ago = alive.stat().st_mtime - 120
    os.utime(alive, (long_ago, long_ago))
    out, code = status()
    assert code == 1
    assert json.loads(out)["code"] == 50
    node.start()
    assert eventually(lambda: status() == ("", 0))
