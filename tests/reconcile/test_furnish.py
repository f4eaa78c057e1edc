"""Furnishing: what of a pod is looked at meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import threading
from typing import TYPE_CHECKING, Any, cast

import attrs
import pytest

from meshnet.driver import Attachment
from meshnet.errors import KernelError, LinkError
from meshnet.panel.port import PanelPort
from meshnet.reconcile.furnish import Furnisher
from meshnet.reconcile.sandbox import Sandbox
from meshnet.reconcile.table import Table
from tests.reconcile.fakes import Moody
from tests.reconcile.made import end, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


class Own(Moody):
    name = "own"
    attachment = Attachment.DIRECT


def test_looking_for_an_interface_that_a_pod_moved_on_does_not_hold_the_daemon_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pod may have thousands of interfaces in namespaces of its own."""
    free = threading.Event()

    @contextlib.contextmanager
    def entered(_: Sandbox) -> Iterator[Any]:
        yield attrs.make_class("Inside", ["netlink"])(None)

    def moved_on(*_: object) -> bool:
        assert free.wait(2), "the daemon was held up"
        return True

    async def main() -> None:
        here = end(sandbox(), "eth1", "localhost:eth0", driver=cast("Any", Own()))
        here.applied = attrs.evolve(here.applied, driver="own")
        nothing = cast("Any", None)
        furnisher = Furnisher(
            netlink=nothing, maker=nothing, splicer=nothing, deleter=nothing, table=Table(), saved=lambda _: None
        )
        assert here.plan is not None
        applying = asyncio.ensure_future(furnisher.apply(here, here.plan))
        asyncio.get_running_loop().call_soon(free.set)
        with pytest.raises(LinkError, match="has moved its interface"):
            await applying

    monkeypatch.setattr(Sandbox, "enter", entered)
    monkeypatch.setattr("meshnet.reconcile.furnish.moved_on", moved_on)
    asyncio.run(main())


class Refusing:
    """A deleter whose kernel refuses, once."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def delete(self, ifindexes: list[int]) -> None:
        self.asked += ifindexes
        if len(self.asked) == 1:
            raise KernelError(errno.ENOBUFS, "list links")


@pytest.mark.parametrize("why", ["it is not declared any more", "a driver makes the interface itself"])
def test_an_end_whose_port_the_kernel_does_not_delete_keeps_it_for_the_next_try(why: str) -> None:
    async def main() -> None:
        box = sandbox()
        table, deleter = Table(), Refusing()
        here = end(box, "eth1", "localhost:eth0", driver=cast("Any", Own()))
        here.port = port = PanelPort(here.endpoint, 1, "c1", "mn0", 1 << 20, mtu=1500)
        box.ends["eth1"] = here
        table.add(box)
        nothing = cast("Any", None)
        furnisher = Furnisher(
            netlink=nothing,
            maker=nothing,
            splicer=nothing,
            deleter=cast("Any", deleter),
            table=table,
            saved=lambda _: None,
        )
        assert here.plan is not None

        async def attempt() -> None:
            if why == "it is not declared any more":
                await furnisher.remove(here)
            else:
                await furnisher.apply(here, here.plan)

        with pytest.raises(KernelError, match="list links"):
            await attempt()
        assert here.port is port
        assert table.by_port(port.ifindex) is here
        assert box.ends == {"eth1": here}

        await attempt()
        assert deleter.asked == [port.ifindex] * 2
        assert table.by_port(port.ifindex) is None

    asyncio.run(main())
