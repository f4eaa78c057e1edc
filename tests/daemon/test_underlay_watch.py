"""A node that is not reached as its peers were told says so; where it is reached in another way, the daemon ends."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from meshnet.daemon import underlay_watch
from meshnet.daemon.underlay_watch import UnderlayWatch
from meshnet.driver.link import Underlay
from meshnet.errors import MeshnetError


class Kernel:
    """Addresses by interface, and the MTU of each."""

    def __init__(self) -> None:
        self.having = [(2, "10.0.0.1/24"), (2, "fe80::1/64"), (3, "10.1.0.1/24")]
        self.mtu = 1500

    def dump(self, *_: object, **__: object) -> Any:
        return self.having

    def ask(self, _: object) -> Any:
        return SimpleNamespace(mtu=self.mtu)


@pytest.fixture
def kernel(monkeypatch):
    monkeypatch.setattr(underlay_watch, "links", SimpleNamespace(get_link=lambda it: it, parse_link=lambda it: it))
    monkeypatch.setattr(
        underlay_watch, "addresses", SimpleNamespace(dump_addresses=lambda: "", parse_address=lambda it: it)
    )
    return Kernel()


def watch(kernel, *, mtu=1500, follow_mtu=True):
    return UnderlayWatch(cast("Any", kernel), Underlay(mtu, 4, "10.0.0.1", 2), follow_mtu=follow_mtu)


def test_what_is_as_it_was_ends_nothing(kernel, caplog):
    watching = watch(kernel)
    kernel.having.append((2, "10.0.0.9/24"))
    for _ in range(5):
        watching.look()
    assert caplog.text == ""


@pytest.mark.parametrize("now", [(2, "10.0.0.2/24"), (4, "10.0.0.1/24")], ids=["another address", "another interface"])
def test_a_node_that_moved_starts_anew(kernel, caplog, now):
    watching = watch(kernel)
    kernel.having[0] = now
    watching.look()
    assert "has not got its address 10.0.0.1 any more" in caplog.text
    with pytest.raises(MeshnetError, match=r"was 10\.0\.0\.1 and is 10\.0\.0\.[12] \(interface [24]\)"):
        watching.look()


def test_an_address_that_is_away_for_a_moment_ends_nothing(kernel):
    watching = watch(kernel)
    for _ in range(5):
        gone = kernel.having.pop(0)
        watching.look()
        kernel.having.insert(0, gone)
        watching.look()


def test_without_any_other_address_it_is_waited_for(kernel, caplog):
    watching = watch(kernel)
    del kernel.having[0]
    for _ in range(5):
        watching.look()
    assert caplog.text.count("has not got its address") == 1


def test_another_mtu_of_the_interface_is_a_new_start(kernel):
    kernel.mtu = 1400
    with pytest.raises(MeshnetError, match="MTU was 1500 and is 1400"):
        watch(kernel).look()
    watch(kernel, follow_mtu=False).look()
