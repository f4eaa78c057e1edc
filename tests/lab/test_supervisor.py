"""What a supervisor tells the caller of `lab up`."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from meshnet.lab import supervisor
from meshnet.lab.channel import pair
from meshnet.lab.supervisor import _Supervisor

LOOKS = 2000
"""More than a socket holds."""


class Telling:
    """A way up that tells much."""

    def __init__(self, *args: object) -> None:
        self.tell = args[-1]

    async def run(self) -> dict[str, object]:
        for done in range(LOOKS):
            self.tell({"step": "links", "done": done})
            await asyncio.sleep(0)
        return {"step": "up"}


def test_lab_goes_on_while_its_caller_is_suspended(monkeypatch):
    monkeypatch.setattr(supervisor, "BringUp", Telling)
    ours, theirs = pair()
    up = threading.Event()
    found: list[object] = []

    def read() -> None:
        found.append(up.wait(10))
        while (message := theirs.receive())["step"] != "up":
            found.append(message["done"])

    async def run(teller: ThreadPoolExecutor) -> None:
        lab = _Supervisor(SimpleNamespace(), [], ours, SimpleNamespace(), SimpleNamespace())
        await lab._bring_up(SimpleNamespace(), teller, teller)
        up.set()

    caller = threading.Thread(target=read)
    caller.start()
    with ours, theirs:
        with ThreadPoolExecutor(1) as teller:
            asyncio.run(run(teller))
        caller.join()
    assert found == [True, *range(LOOKS)]
