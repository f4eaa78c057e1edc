"""Ports in the kernel: made, read back, spliced, deleted."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import subprocess
from typing import TYPE_CHECKING

import attrs
import pytest

from meshnet.driver.api import Device, Inside, Socket
from meshnet.errors import KernelError
from meshnet.model import names
from meshnet.model.topology import Endpoint
from meshnet.netlink import BatchError, Ethtool, Netlink, Redirect, Request, bpf, links, tc
from meshnet.netlink.netns import entered
from meshnet.panel.delete import Deleter, delete_ports
from meshnet.panel.indices import FIRST, Indices
from meshnet.panel.make import PortMaker
from meshnet.panel.port import Made, PanelPort, PortWish
from meshnet.panel.read import read_link, read_ports
from meshnet.panel.splice import MIRRED, REDIRECT_PEER, Splicer
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

pytestmark = pytest.mark.kernel


@attrs.frozen
class Panel:
    """A panel on the node and one pod."""

    netlink: Netlink
    ethtool: Ethtool
    maker: PortMaker
    pod: int

    def make(self, *wishes: PortWish) -> list[Made]:
        with Netlink.open(self.pod) as inside:
            return self.maker.make(wishes, Inside(self.pod, inside))

    def port(self, interface: str = "eth1", **fields: object) -> PanelPort:
        (made,) = self.make(wish(interface, **fields))
        assert made.error is None
        assert made.port is not None
        return made.port

    def read(self) -> dict[str, PanelPort]:
        return {port.endpoint.interface: port for port in read_ports(self.netlink, self.ethtool)}

    def splicer(self, *, redirect_peer: bool = False) -> Splicer:
        return Splicer(self.netlink, self.ethtool, redirect_peer=redirect_peer)

    def in_pod(self) -> dict[str, links.LinkInfo]:
        with Netlink.open(self.pod) as inside:
            found = [links.parse_link(payload) for payload in inside.dump(links.dump_links())]
        return {info.name: info for info in found if info.name != "lo"}

    def on_node(self) -> set[str]:
        return {links.parse_link(payload).name for payload in self.netlink.dump(links.dump_links())} - {"lo"}


@pytest.fixture
def panel(netlink: Netlink, new_ns: Callable[[], int], tmp_path: Path) -> Iterator[Panel]:
    with Ethtool() as ethtool:
        yield Panel(netlink, ethtool, PortMaker(netlink, ethtool, Indices(tmp_path / "ifindex")), new_ns())


def wish(interface: str = "eth1", *, mtu: int = 1500, addresses: Sequence[str] = (), container: str = "c1") -> PortWish:
    endpoint = Endpoint("default", "r1", interface)
    return PortWish(endpoint, 7, container, names.pod_mac("default", "r1", interface), mtu, tuple(addresses))


def same(one: PanelPort, other: PanelPort) -> bool:
    return attrs.asdict(one, recurse=False) == attrs.asdict(other, recurse=False)


def test_a_port_and_its_pod_end(panel: Panel) -> None:
    made = panel.make(wish("eth1", mtu=9000, addresses=["10.0.0.1/24", "fd00::1/64"]), wish("a-15-bytes-name"))
    first, second = (one.port for one in made)
    assert first is not None
    assert second is not None

    inside = panel.in_pod()
    assert set(inside) == {"eth1", "a-15-bytes-name"}
    assert (inside["eth1"].mtu, inside["eth1"].mac) == (9000, names.pod_mac("default", "r1", "eth1"))
    assert (inside["eth1"].up, inside["eth1"].carrier) == (True, False)
    assert (first.pod_ifindex, second.pod_ifindex) == (inside["eth1"].ifindex, inside["a-15-bytes-name"].ifindex)
    assert first.ifindex >= FIRST
    assert second.ifindex == first.ifindex + 1
    on_node = links.parse_link(panel.netlink.ask(links.get_link(first.ifindex)))
    assert (on_node.up, on_node.mtu, on_node.name) == (False, 9000, names.port_name("c1", "eth1"))
    assert names.parse_mark(on_node.alias) == names.Mark("default", "r1", "eth1", 7, "c1")
    assert panel.ethtool.tx_checksum(first.name) is False


def test_a_port_reads_as_it_was_made(panel: Panel) -> None:
    one, other = panel.port("eth1"), panel.port("eth2")
    splicer = panel.splicer()
    splicer.splice(one, other.facts())
    splicer.set_up(one, up=True)
    splicer.splice(other, one.facts(), offload=True)
    made = read_link(panel.netlink, other.ifindex)
    assert made is not None
    size = 200_000 if made.gso_ipv4_max_size else 65536  # Linux before 6.3 has none
    splicer.set_gso_ipv4_max_size(other, size)

    found = panel.read()

    assert same(found["eth1"], one)
    assert same(found["eth2"], other)
    assert found["eth1"].redirect == Redirect(MIRRED, other.ifindex)
    assert (found["eth1"].up, found["eth2"].up, found["eth2"].offload) == (True, False, True)
    assert (found["eth1"].gso_ipv4_max_size, found["eth2"].gso_ipv4_max_size) == (65536, size)


def test_carrier_of_several_one_of_which_is_gone(panel: Panel) -> None:
    one, gone, other = panel.port("eth1"), panel.port("eth2"), panel.port("eth3")
    panel.netlink.run([links.delete_link(gone.ifindex)])

    panel.splicer().set_all_up([(one, True), (gone, True), (other, True)])

    assert (one.up, gone.up, other.up) == (True, False, True)
    assert {name: info.carrier for name, info in panel.in_pod().items()} == {"eth1": True, "eth3": True}


def test_a_pod_sees_every_loss_of_carrier_however_short(panel: Panel) -> None:
    port, splicer = panel.port(addresses=["10.0.0.1/24"]), panel.splicer()
    splicer.set_up(port, up=True)
    with entered(panel.pod):
        for _ in range(20):
            known = "10.0.0.2 dev eth1"
            subprocess.run(f"ip neigh replace {known} lladdr 02:00:00:00:00:02 nud reachable".split(), check=True)
            splicer.set_up(port, up=False)
            assert eventually(lambda: splicer.set_up(port, up=True))
            assert panel.in_pod()["eth1"].carrier
            assert subprocess.run(["ip", "neigh", "show"], check=True, capture_output=True).stdout == b""


def test_carrier_returns_when_its_loss_was_seen(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Linux before 6.8 does, a kernel that is asked before it has told the pod answers as if nothing was lost."""
    port, splicer = panel.port(), panel.splicer()
    splicer.set_up(port, up=True)
    running = panel.netlink.ask_many([links.get_link(port.pod_ifindex, nsid=port.nsid)])
    splicer.set_up(port, up=False)
    with monkeypatch.context() as patched:
        patched.setattr(panel.netlink, "ask_many", lambda _: running)
        assert splicer.set_up(port, up=True) is False
        assert not panel.in_pod()["eth1"].carrier
    assert eventually(lambda: splicer.set_up(port, up=True))
    assert panel.in_pod()["eth1"].carrier


def test_only_marked_veths_are_ports(panel: Panel) -> None:
    panel.port("eth1")
    mark = names.Mark("default", "r1", "eth9", 1, "c1").alias
    for name, alias in (("br0", mark), ("br1", "meshnet"), ("br2", "")):
        subprocess.run(["ip", "link", "add", name, "type", "bridge"], check=True)
        if alias:
            subprocess.run(["ip", "link", "set", name, "alias", alias], check=True)

    assert list(panel.read()) == ["eth1"]


def test_a_drivers_own_veth_is_no_port_whatever_its_mark(panel: Panel) -> None:
    panel.port("eth1")
    mark = names.Mark("default", "r1", "eth9", 1, "c1").alias
    for name, number in (("wire0", FIRST + 100), ("mn0123456789ab", 77)):
        add = ["ip", "link", "add", name, "index", str(number), "type", "veth", "peer", "name", f"p{number}"]
        subprocess.run(add, check=True)
        subprocess.run(["ip", "link", "set", name, "alias", mark], check=True)

    assert list(panel.read()) == ["eth1"]
    delete_ports([FIRST + 100, 77])
    assert panel.on_node() >= {"wire0", "mn0123456789ab"}


def test_what_cannot_be_made_fails_alone(panel: Panel) -> None:
    panel.port("eth2")

    made = panel.make(
        wish("eth1"), wish("eth2", container="c2"), wish("eth3", addresses=["127.0.0.1/8", "127.0.0.1/8"]), wish("eth4")
    )

    errors = [one.error and one.error.errno for one in made]
    assert errors == [None, errno.EEXIST, errno.EEXIST, None]
    # an address that the pod refuses does not cost it the interface
    assert [one.port is not None for one in made] == [True, False, True, True]
    assert set(panel.in_pod()) == {"eth1", "eth2", "eth3", "eth4"}
    assert all(info.up for info in panel.in_pod().values())


def test_an_interface_index_in_use_is_stepped_over(panel: Panel) -> None:
    for index in (FIRST, FIRST + 1, FIRST + 3):
        subprocess.run(["ip", "link", "add", f"br{index}", "index", str(index), "type", "bridge"], check=True)

    made = panel.make(wish("eth1"), wish("eth2"), wish("eth3"))

    assert [one.error for one in made] == [None] * 3
    indexes = {one.port.ifindex for one in made if one.port}
    assert len(indexes) == 3
    assert not indexes & {FIRST, FIRST + 1, FIRST + 3}
    assert set(panel.in_pod()) == {"eth1", "eth2", "eth3"}
    assert panel.read().keys() == {"eth1", "eth2", "eth3"}


def test_a_kernel_that_refuses_in_the_middle_leaves_no_port(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(ifindex: int) -> Request:
        return truncated(tc.add_ingress_drop(ifindex), ifindex)

    monkeypatch.setattr("meshnet.panel.make.tc.add_clsact", refused)

    with pytest.raises(KernelError):
        panel.make(wish("eth1"), wish("eth2"))

    assert panel.in_pod() == {}
    assert panel.on_node() == set()


def lose_the_answer(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the kernel do what it is asked next, and nobody hear of it."""
    run = panel.netlink.run

    def lost(requests: Sequence[Request]) -> list[bytes]:
        monkeypatch.setattr(panel.netlink, "run", run)
        with contextlib.suppress(BatchError):
            run(requests)
        raise KernelError(errno.ENOBUFS, requests[0].what, "answers were lost")

    monkeypatch.setattr(panel.netlink, "run", lost)


def test_ports_that_nobody_heard_were_made_are_not_left(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run(["ip", "link", "add", "br0", "index", str(FIRST), "group", "7", "type", "bridge"], check=True)
    lose_the_answer(panel, monkeypatch)

    with pytest.raises(KernelError, match="answers were lost"):
        panel.make(wish("eth1"), wish("eth2"))

    assert panel.in_pod() == {}
    assert panel.on_node() == {"br0"}  # its index was wanted for eth1
    bridge = read_link(panel.netlink, FIRST)
    assert bridge is not None
    assert bridge.group == 7


def test_ports_that_could_not_be_taken_back_are_when_others_are_made(
    panel: Panel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> None:
        raise KernelError(errno.ENOMEM, "delete ports")

    lose_the_answer(panel, monkeypatch)
    with monkeypatch.context() as patched:
        patched.setattr("meshnet.panel.make.delete_ports", refused)
        with pytest.raises(KernelError, match="answers were lost"):
            panel.make(wish("eth1"), wish("eth2"))

    assert panel.make(wish("eth1"))[0].error is None
    assert panel.in_pod().keys() == {"eth1"}
    assert len(panel.on_node()) == 1


def test_an_index_of_which_nobody_knows_whether_it_is_taken(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = panel.netlink.ask

    def unknown(request: Request) -> bytes:
        monkeypatch.setattr(panel.netlink, "ask", ask)
        raise KernelError(errno.ENOBUFS, request.what)

    monkeypatch.setattr(panel.netlink, "ask", unknown)
    subprocess.run(["ip", "link", "add", "br0", "index", str(FIRST), "type", "bridge"], check=True)

    with pytest.raises(KernelError, match="ENOBUFS"):  # and not that the pod has an interface of that name
        panel.make(wish("eth1"), wish("eth2"))

    assert panel.in_pod() == {}


def truncated(request: Request, ifindex: int) -> Request:
    """The request with nothing in it but a link, which the kernel refuses."""
    return request._replace(body=request.body[:20], what=f"nonsense for link {ifindex}")


def test_a_namespace_that_is_none_is_refused(panel: Panel) -> None:
    with open("/dev/null") as null, Netlink.open(panel.pod) as inside:
        (made,) = panel.maker.make([wish()], Inside(null.fileno(), inside))

    assert made.port is None
    assert made.error is not None
    assert panel.on_node() == set()


def test_splices_replace_each_other(panel: Panel) -> None:
    one, two, three = panel.port("eth1"), panel.port("eth2"), panel.port("eth3")
    splicer = panel.splicer()

    for splice, wanted in (
        (two.facts(), Redirect(MIRRED, two.ifindex)),
        (three.facts(), Redirect(MIRRED, three.ifindex)),
        (Device(two.ifindex), Redirect(MIRRED, two.ifindex)),
        (Socket(), None),
        (three.facts(), Redirect(MIRRED, three.ifindex)),
        (None, None),
        (None, None),
    ):
        splicer.splice(one, splice)
        assert one.redirect == wanted
        assert panel.read()["eth1"].redirect == wanted
        assert priorities(panel, one)[-1] == tc.DROP_PRIORITY
        assert len(priorities(panel, one)) == 1 + (wanted is not None)


@pytest.mark.parametrize("damage", ["tc qdisc del dev {} clsact", "tc filter del dev {} ingress"])
def test_a_splice_that_somebody_took_away_is_taken_out(panel: Panel, damage: str) -> None:
    one, two = panel.port("eth1"), panel.port("eth2")
    splicer = panel.splicer()
    splicer.splice(one, two.facts())
    subprocess.run(damage.format(one.name).split(), check=True, timeout=10)

    splicer.splice(one, None)
    assert one.redirect is None


def test_offload_moves_from_one_method_to_the_other_and_back(panel: Panel) -> None:
    why_not = bpf.why_unusable()
    if why_not:
        pytest.skip(why_not)
    one, two = panel.port("eth1"), panel.port("eth2")
    splicer = panel.splicer(redirect_peer=True)

    for offload, method in ((False, MIRRED), (True, REDIRECT_PEER), (False, MIRRED), (True, REDIRECT_PEER)):
        splicer.splice(one, two.facts(), offload=offload)
        assert panel.read()["eth1"].redirect == Redirect(method, two.ifindex)
        assert panel.ethtool.tx_checksum(one.name) is offload
        assert len(priorities(panel, one)) == 2
    splicer.splice(one, None)
    assert panel.read()["eth1"].redirect is None


def priorities(panel: Panel, port: PanelPort) -> list[int]:
    """The filters on a port's ingress that are in force, by priority."""
    found = {tc.parse_priority(payload) for payload in panel.netlink.dump(tc.dump_filters(port.ifindex))}
    return sorted(found)


def test_a_port_exists_until_it_is_deleted(panel: Panel) -> None:
    port = panel.port("eth1")
    splicer = panel.splicer()
    assert splicer.exists(port.ifindex)

    delete_ports([port.ifindex, port.ifindex + 1000])

    assert not splicer.exists(port.ifindex)
    assert panel.in_pod() == {}


def test_relabelling_keeps_the_port(panel: Panel) -> None:
    port = panel.port("eth1")
    panel.splicer().relabel(port, 99)

    found = panel.read()["eth1"]
    assert (found.uid, found.ifindex) == (99, port.ifindex)


def test_only_ports_are_deleted(panel: Panel) -> None:
    port = panel.port("eth1")
    subprocess.run(["ip", "link", "add", "br0", "type", "bridge"], check=True)
    stranger = links.parse_link(panel.netlink.ask(links.get_link("br0"))).ifindex

    delete_ports([stranger, port.ifindex])

    assert panel.on_node() == {"br0"}
    assert links.parse_link(panel.netlink.ask(links.get_link("br0"))).group == 0


def test_deletions_are_collected(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for until a round begins is one; the kernel takes as long for one port as for many."""
    ports = [panel.port(f"eth{number}") for number in range(1, 9)]
    rounds: list[list[int]] = []

    def delete(ifindexes: Sequence[int]) -> None:
        rounds.append(list(ifindexes))
        delete_ports(ifindexes)

    async def main() -> None:
        deleter = Deleter()
        waiting = [deleter.delete_soon([port.ifindex]) for port in ports]
        await deleter.delete([])
        await asyncio.gather(*waiting, deleter.delete([ports[0].ifindex]))
        assert panel.on_node() == set()
        await deleter.close()

    monkeypatch.setattr("meshnet.panel.delete.delete_ports", delete)
    asyncio.run(main())
    assert rounds == [[port.ifindex for port in ports], [ports[0].ifindex]]


def test_a_closing_deleter_finishes_what_was_asked(panel: Panel) -> None:
    port = panel.port("eth1")

    async def main() -> None:
        deleter = Deleter()
        deleter.delete_soon([port.ifindex])
        await deleter.close()

    asyncio.run(main())
    assert panel.on_node() == set()
