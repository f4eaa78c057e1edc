"""A deleter whose thread meets an error goes on."""

from __future__ import annotations

import asyncio
import errno

import pytest

from meshnet.errors import KernelError
from meshnet.panel import delete
from meshnet.panel.delete import Deleter


@pytest.mark.parametrize(
    "error", [KernelError(errno.ENOMEM, "delete"), OSError(errno.EMFILE, "Too many open files")], ids=["kernel", "os"]
)
def test_an_error_is_told_and_the_next_deletion_works(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    calls: list[list[int]] = []

    def once(ifindexes: list[int]) -> None:
        calls.append(ifindexes)
        if len(calls) == 1:
            raise error

    monkeypatch.setattr(delete, "delete_ports", once)

    async def main() -> None:
        deleter = Deleter()
        async with asyncio.timeout(5):
            with pytest.raises(type(error)):
                await deleter.delete([1])
            await deleter.delete([2])
        await deleter.close()

    asyncio.run(main())
    assert calls == [[1], [2]]
