"""Drivers that could not start are tried again, and who has to know hears when that changes something."""

from __future__ import annotations

import asyncio

from meshnet.daemon.late_drivers import start_late
from meshnet.driver import LinkDriver, Scope
from meshnet.driver.registry import Registry
from meshnet.errors import LinkError
from tests.virtual_time import run


def test_changes_are_told_once_each():
    reasons = iter(["busy", "busy", "busy", "gone", "gone", ""])
    told = []

    class Late(LinkDriver):
        api, name, scopes, claims, rank = 1, "late", Scope.SAME_NODE, Scope.SAME_NODE, 0

        async def start(self, ctx):
            if reason := next(reasons):
                raise LinkError("NotNow", reason)

        async def patch(self, link, peer):
            raise NotImplementedError

    async def main():
        registry = Registry.of(Late)
        await registry.start_all(lambda name: None)
        loop = asyncio.get_running_loop()
        begin = loop.time()

        def changed():
            told.append((loop.time() - begin, registry.get("late").unusable))

        trying = loop.create_task(start_late(registry, lambda name: None, changed, every_s=60.0))
        await asyncio.sleep(3600.0)
        trying.cancel()
        await asyncio.wait([trying])

    run(main())

    assert told == [(180.0, "gone"), (300.0, "")]
