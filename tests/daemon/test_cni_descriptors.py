"""Who closes the descriptors that come with a call."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, cast

import pytest

from meshnet.cni.frame import Frame
from meshnet.daemon.cni_calls import CniCalls
from meshnet.daemon.connection import Call
from meshnet.reconcile.cache import TopologyCache
from meshnet.stores.memory import MemoryStore


def test_what_is_no_socket_is_refused_and_closed_once() -> None:
    netns, other = os.open(os.devnull, os.O_RDONLY), os.open(os.devnull, os.O_RDONLY)
    env = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": "c1",
        "CNI_NETNS": "/run/netns/c1",
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": "K8S_POD_NAMESPACE=default;K8S_POD_NAME=r1",
    }
    body = json.dumps({"cniVersion": "1.1.0", "name": "mesh", "type": "meshnet"}).encode()
    call = Call(Frame(env, body), [netns, other])

    async def main() -> bytes:
        cache = TopologyCache(MemoryStore(), lambda _: None)
        cache.synced.set()
        return await CniCalls(cast("Any", None), cache).answer(call)

    reply = asyncio.run(main())

    assert reply[:1] == b"1"
    assert json.loads(reply[1:])["code"] == 5
    assert call.descriptors == [netns]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(other)
    os.close(netns)
