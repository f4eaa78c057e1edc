"""Streams between a test's nodes."""

import contextlib
import gc
import time
import weakref
from types import SimpleNamespace

import pytest

from meshnet.model.topology import Endpoint
from meshnet.testing.exchange import Exchange
from meshnet.testing.loop import LoopThread

HERE, THERE = Endpoint("default", "r1", "eth1"), Endpoint("default", "r2", "eth1")
LINK = SimpleNamespace(local=HERE, peer=THERE)


class Reader:
    """Accepts streams, and reads each to its end."""

    async def accept_stream(self, local, peer, stream):
        while True:
            await stream.read()


@pytest.fixture
def loop():
    with contextlib.closing(LoopThread()) as loop:
        yield loop


def bench(loop, node, local, peer):
    patched = {local: SimpleNamespace(peer=peer)}
    return SimpleNamespace(node=SimpleNamespace(name=node), driver=Reader(), patched=patched, spawn=loop.spawn)


def test_streams_that_are_over_are_forgotten(loop):
    """They would count as what a driver has left."""
    exchange = Exchange()
    opener, acceptor = bench(loop, "n1", HERE, THERE), bench(loop, "n2", THERE, HERE)
    exchange.join(acceptor)
    over = []
    for _ in range(5):
        stream = loop.run(exchange.open(opener, LINK, "n2"), limit_s=5)
        stream.close()
        while loop.tasks():
            time.sleep(0.001)
        over.append(weakref.ref(stream))
    del stream
    gc.collect()

    assert sum(each() is not None for each in over) <= 1
