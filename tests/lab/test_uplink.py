"""A node's uplink, cut by several at once."""

from __future__ import annotations

import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from meshnet.lab import uplink
from meshnet.lab.underlay import Underlay
from meshnet.lab.uplink import Cut, Uplink

if TYPE_CHECKING:
    from collections.abc import Iterator


class Kernel:
    """Tells whether two change the uplink at once."""

    changing = False
    mixed = False

    @classmethod
    @contextlib.contextmanager
    def open(cls) -> Iterator[type[Self]]:
        cls.mixed = cls.mixed or cls.changing
        cls.changing = True
        yield cls
        cls.changing = False

    @staticmethod
    def run(_requests: object) -> None:
        time.sleep(0.02)

    @staticmethod
    def run_tolerating(_requests: object, _error: int) -> None:
        time.sleep(0.02)


def test_cuts_at_once_come_one_after_the_other(monkeypatch):
    """Else the kernel may have what is neither, and the uplink is not as it is said to be."""
    monkeypatch.setattr(uplink, "Netlink", Kernel)
    one = Uplink("n1", 1, Underlay())

    with ThreadPoolExecutor(2) as executor:
        list(executor.map(one.set_cut, (Cut.UNPLUGGED, Cut.NONE)))

    assert not Kernel.mixed
