"""Drivers of others under a daemon: what they have made stays, beside core and beside drivers of the same kind."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from meshnet.driver.registry import Registry
from meshnet.netlink import Netlink, VethSpec, links
from tests.kernel.daemons import distribution, link, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from tests.kernel.daemons import DaemonNode

pytestmark = pytest.mark.kernel

ROOT = Path(__file__).parents[2]
STRANGERS = """
from meshnet.driver import Device, hookimpl
from tests.testing.hop import Hop

class Wrong(Hop):
    name = "wrong"

    async def patch(self, link, peer):
        return Device("eth0")

@hookimpl
def meshnet_register_drivers(register):
    register(Hop)
    register(Wrong)
"""
LATE = """
from pathlib import Path
from meshnet.driver import LinkError, hookimpl
from meshnet_veth import VethDriver

class Late(VethDriver):
    name, aliases, rank = "late", (), 1000

    async def start(self, ctx):
        if not Path("READY").exists():
            raise LinkError("NotYet", "not yet")
        await super().start(ctx)

@hookimpl
def meshnet_register_drivers(register):
    register(Late)
"""
TWIN = """
from meshnet.driver import Scope, hookimpl
from meshnet_macvlan import MacvlanDriver

class Twin(MacvlanDriver):
    name, aliases, claims = "aa-twin", (), Scope(0)

@hookimpl
def meshnet_register_drivers(register):
    register(Twin)
"""


def restart_with(node: DaemonNode, directory: Path, source: str) -> None:
    """Start the daemon anew with a distribution of drivers, and a pass every moment."""
    site = distribution(directory, "strangers", source)
    node.stop()
    paths = os.pathsep.join([site, str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    node.start(PYTHONPATH=paths, MESHNET_PASS_SECONDS="0.3")


def cabled(driver: str) -> list[dict[str, object]]:
    return [
        topology("r1", link(1, "eth1", "r2:eth1", local_ip="10.0.0.1/24", driver=driver)),
        topology("r2", link(1, "eth1", "r1:eth1", local_ip="10.0.0.2/24", driver=driver)),
    ]


def test_a_drivers_own_veths_outlive_a_restart(node: DaemonNode, tmp_path: Path) -> None:
    restart_with(node, tmp_path, STRANGERS)
    node.apply(*cabled("hop"))
    r1, _ = node.up("r1", "r2")
    assert eventually(lambda: " 1 received" in r1.run("ping", "-c", "1", "-W", "1", "10.0.0.2", check=False))
    before = {info.ifindex for info in node.netlink_links()}

    node.kill()
    node.start()
    time.sleep(1.0)  # some passes

    assert {info.ifindex for info in node.netlink_links()} == before
    assert "are deleted" not in node.log()


def test_a_splice_that_is_none_is_the_links_reason(node: DaemonNode, tmp_path: Path) -> None:
    restart_with(node, tmp_path, STRANGERS)
    node.apply(*cabled("wrong"))
    node.up("r1", "r2")

    assert eventually(lambda: node.state("r1")[1] == "DriverFailed")
    message = node.ask("links")["links"][0]["message"]
    assert message.startswith("driver wrong: patch returned Device(ifindex='eth0'); right would be a Device whose")


@pytest.mark.skipif(Registry.load().find("macvlan") is None, reason="driver macvlan is not installed")
@pytest.mark.parametrize("driver", ["aa-twin", "macvlan"])
def test_two_drivers_of_one_kind_leave_each_others_interfaces(node: DaemonNode, tmp_path: Path, driver: str) -> None:
    nic = VethSpec("nic0", 1 << 19, "06:00:00:00:00:01", 1500, "far", "06:00:00:00:00:02", node.pod("outside").fd)
    with Netlink.open() as netlink:
        netlink.run([links.new_veth(nic), links.set_link(1 << 19, up=True)])
    restart_with(node, tmp_path, TWIN)
    node.apply(topology("r1", link(1, "net1", "localhost:nic0", driver=driver)))
    (r1,) = node.up("r1")
    before = r1.links()["net1"].ifindex

    for _ in range(2):
        time.sleep(1.0)  # some passes
        assert r1.links()["net1"].ifindex == before
        assert node.state("r1", "net1")[1] in ("", "ParentDown", "NoCarrier")
        node.kill()
        node.start()

    assert "is not needed any more" not in node.log()


def test_a_driver_that_could_not_start_does_later_and_links_that_wait_for_it_come_up(
    node: DaemonNode, tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    restart_with(node, tmp_path, LATE.replace("READY", str(ready)))
    node.apply(*cabled("late"))
    r1, _ = node.up("r1", "r2")
    assert eventually(lambda: node.state("r1")[1] == "DriverUnusable")

    ready.touch()

    assert eventually(lambda: " 1 received" in r1.run("ping", "-c", "1", "-W", "1", "10.0.0.2", check=False))
