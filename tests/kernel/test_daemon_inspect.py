"""A pass sees what no event told of."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from meshnet.driver.api import Inside
from meshnet.errors import KernelError
from meshnet.model.topology import Endpoint
from meshnet.netlink import Ethtool, Netlink
from meshnet.netlink.netns import entered
from meshnet.panel.delete import delete_ports
from meshnet.panel.indices import Indices
from meshnet.panel.make import PortMaker
from meshnet.panel.port import PortWish
from meshnet.panel.splice import Splicer
from meshnet.reconcile.inspect import Inspector
from meshnet.reconcile.table import Table
from tests.reconcile.made import end, sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from meshnet.panel.port import PanelPort

pytestmark = pytest.mark.kernel


@pytest.fixture
def pod(new_ns: Callable[[], int]) -> int:
    return new_ns()


@pytest.fixture
def ethtool(node_ns: int) -> Iterator[Ethtool]:
    with Ethtool() as ethtool:
        yield ethtool


@pytest.fixture
def port(netlink: Netlink, ethtool: Ethtool, pod: int, tmp_path: Path) -> Iterator[PanelPort]:
    with Netlink.open(pod) as inside:
        maker = PortMaker(netlink, ethtool, Indices(tmp_path / "ifindex"))
        wish = PortWish(Endpoint("default", "r1", "eth1"), 1, "c1", "02:00:00:00:00:01", 1500, ())
        (made,) = maker.make([wish], Inside(pod, inside))
        assert made.port is not None
        Splicer(netlink, ethtool, redirect_peer=False).set_up(made.port, up=True)
        yield made.port


def in_pod(pod: int, command: str) -> None:
    with entered(pod):
        subprocess.run(command.split(), check=True, timeout=10)


def test_that_the_pod_set_its_end_down(netlink: Netlink, ethtool: Ethtool, pod: int, port: PanelPort) -> None:
    for word, up in (("down", False), ("up", True)):
        in_pod(pod, f"ip link set eth1 {word}")
        Inspector(netlink, ethtool, Table()).refresh(port)
        assert port.pod_up is up


def test_where_the_pods_end_was_moved(
    netlink: Netlink, ethtool: Ethtool, pod: int, port: PanelPort, new_ns: Callable[[], int]
) -> None:
    inner = new_ns()
    before = (port.nsid, port.pod_ifindex)
    with entered(pod):
        subprocess.run(["ip", "link", "set", "eth1", "netns", f"/proc/self/fd/{inner}"], check=True, pass_fds=[inner])
    in_pod(inner, "ip link set eth1 up")
    Inspector(netlink, ethtool, Table()).refresh(port)

    assert port.nsid != before[0]
    assert port.pod_up


def test_what_somebody_did_to_the_port(netlink: Netlink, ethtool: Ethtool, port: PanelPort) -> None:
    subprocess.run(["ip", "link", "set", port.name, "down"], check=True)
    subprocess.run(["tc", "qdisc", "del", "dev", port.name, "clsact"], check=True)
    subprocess.run(["ip", "link", "set", port.name, "name", "renamed", "mtu", "1400"], check=True)
    ethtool.set_tx_checksum("renamed", on=True)
    Inspector(netlink, ethtool, Table()).refresh(port)

    assert (port.up, port.sealed, port.mtu, port.offload) == (False, False, 1400, True)


def test_that_the_port_is_gone(netlink: Netlink, ethtool: Ethtool, port: PanelPort) -> None:
    delete_ports([port.ifindex])

    with pytest.raises(KernelError, match="ENODEV"):
        Inspector(netlink, ethtool, Table()).refresh(port)


@pytest.mark.parametrize("current", [True, False])
def test_an_end_is_found_by_where_it_is_by_now(
    netlink: Netlink, ethtool: Ethtool, pod: int, port: PanelPort, current: bool
) -> None:
    """Unless its sandbox has not got the pod: then the table does not know the end."""
    box, table = sandbox("r1", "c1"), Table()
    its = end(box, "eth1", "r2:eth1")
    its.port = port
    port.pod_ifindex, before = 77, port.pod_ifindex
    if current:
        table.add(box)
    Inspector(netlink, ethtool, table).look_again(its)
    assert port.pod_ifindex == before
    assert table.by_pod_end(port.nsid, before) is (its if current else None)
    assert table.by_pod_end(port.nsid, 77) is None

    delete_ports([port.ifindex])
    Inspector(netlink, ethtool, table).look_again(its)
    assert its.port is None
    assert table.by_port(port.ifindex) is None
