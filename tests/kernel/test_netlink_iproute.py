"""pyroute2 behind its door, on the real kernel."""

from __future__ import annotations

import asyncio
import errno
import os
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError
from meshnet.netlink import Netlink
from meshnet.netlink.iproute import iproute
from tests.kernel.pods import link_names

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.kernel


def test_makes_a_link_in_another_namespace(netlink: Netlink, new_ns: Callable[[], int]) -> None:
    pod = new_ns()

    async def make() -> list[str]:
        async with iproute(pod) as ip:
            await ip.link("add", ifname="br0", kind="bridge")
            return sorted([link.get("ifname") async for link in await ip.link("dump")])

    assert asyncio.run(make()) == ["br0", "lo"]
    assert link_names(netlink) == ["lo"]
    with Netlink.open(pod) as inside:
        assert link_names(inside) == ["br0", "lo"]


def test_works_in_the_calling_threads_namespace(netlink: Netlink) -> None:
    async def make() -> None:
        async with iproute() as ip:
            await ip.link("add", ifname="br0", kind="bridge")

    asyncio.run(make())

    assert link_names(netlink) == ["br0", "lo"]


def test_errors_are_ours_with_the_kernels_explanation(node_ns: int) -> None:
    async def refuse(**link: object) -> None:
        async with iproute() as ip:
            await ip.link("add", **link)

    with pytest.raises(KernelError, match="RTM_NEWLINK") as caught:
        asyncio.run(refuse(ifname="nothing", kind="nosuchkind"))

    assert caught.value.errno == errno.EOPNOTSUPP
    assert "Unknown device type" in caught.value.detail

    with pytest.raises(KernelError) as caught:
        asyncio.run(refuse(ifname="lo", kind="bridge"))

    assert caught.value.errno == errno.EEXIST


def test_error_of_a_dump_is_ours(node_ns: int) -> None:
    async def read() -> None:
        async with iproute() as ip:
            await ip.link("get", index=99)

    with pytest.raises(KernelError) as caught:
        asyncio.run(read())

    assert caught.value.errno == errno.ENODEV


def test_neither_forks_nor_leaves_descriptors(new_ns: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise AssertionError("forked")

    monkeypatch.setattr(os, "fork", refuse)
    pod = new_ns()

    async def use(count: int) -> None:
        for _ in range(count):
            async with iproute(pod) as ip:
                assert [link.get("ifname") async for link in await ip.link("dump")] == ["lo"]
            async with iproute(pod):
                pass  # never used
            await asyncio.sleep(0)

    async def measure() -> tuple[list[str], list[str]]:
        await use(1)
        before = sorted(os.listdir("/proc/self/fd"))
        await use(20)
        return before, sorted(os.listdir("/proc/self/fd"))

    before, after = asyncio.run(measure())

    assert before == after


def test_namespace_that_is_none(node_ns: int) -> None:
    async def enter(fd: int) -> None:
        async with iproute(fd):
            pytest.fail("entered a device")

    with open("/dev/null") as null, pytest.raises(KernelError, match="enter a network namespace"):
        asyncio.run(enter(null.fileno()))
