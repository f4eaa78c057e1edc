"""Finding macvlans in pods, which may have made themselves thousands of interfaces."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import SimpleNamespace

import pytest
from meshnet_macvlan.owned import everywhere, find, in_namespace

from meshnet.model.topology import Endpoint


@pytest.mark.parametrize(
    "look",
    [everywhere, lambda: in_namespace(1), lambda: find(1, Endpoint("default", "r1", "eth1"), "")],
    ids=["everywhere", "in_namespace", "find"],
)
def test_looking_into_pods_does_not_hold_the_daemon_up(look, monkeypatch):
    free = threading.Event()

    def dump(*_, **__):
        assert free.wait(2), "the loop was held up"
        return []

    async def main():
        looking = asyncio.ensure_future(look())
        asyncio.get_running_loop().call_soon(free.set)
        assert not await looking

    monkeypatch.setattr("meshnet.netlink.Netlink.open", lambda: contextlib.nullcontext(SimpleNamespace(dump=dump)))
    asyncio.run(main())
