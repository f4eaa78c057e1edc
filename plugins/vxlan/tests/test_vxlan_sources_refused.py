"""The source filter where nf_tables is missing, or refuses: little is tried, and what comes later is noticed."""

import logging

import pytest
from meshnet_vxlan import sources
from meshnet_vxlan.nftables import NftError
from meshnet_vxlan.sources import AGAIN_S, SourceFilter

LINKS = 40
PEER, MOVED = "192.0.2.1", "192.0.2.2"


class Kernel:
    """Of a node: its nf_tables, its library for that, and its clock. Counts what it is asked."""

    def __init__(self):
        self.library, self.tables, self.busy = True, True, False
        self.now = 5000.0
        self.scripts, self.asked, self.written = [], 0, 0
        self.changes = []

    def nft(self):
        self.asked += 1
        if not self.library:
            raise NftError("not installed")
        return self

    def run(self, script):
        self.asked += 1
        if self.busy or not self.tables:
            raise NftError("refused")
        self.scripts.append(script)

    def elements(self):
        kernel = self

        class Elements:
            def __init__(self, _):
                kernel.asked += 1

            def exists(self):
                if not kernel.tables:
                    raise NftError("no netfilter sockets")
                return False

            def close(self):
                pass

            def add(self, keys):
                kernel.asked += 1
                if not kernel.tables or not kernel.scripts:
                    raise NftError("no such table")
                kernel.changes.append(keys)

        return Elements


@pytest.fixture
def kernel(monkeypatch):
    kernel, table = Kernel(), sources._table

    def write(*args):
        kernel.written += 1
        return table(*args)

    monkeypatch.setattr(sources, "Nft", kernel.nft)
    monkeypatch.setattr(sources, "Elements", kernel.elements())
    monkeypatch.setattr(sources, "_table", write)
    return kernel


@pytest.fixture
def kept(kernel):
    return SourceFilter(51111, logging.getLogger("meshnet.driver.vxlan"), now=lambda: kernel.now)


def full_pass(kept, address=PEER):
    for number in range(LINKS):
        kept.admit(4000 + number, 10 + number, address)


@pytest.mark.parametrize("missing", ["library", "tables"])
def test_where_it_is_missing_it_is_asked_for_once_a_minute_and_told_once(kernel, kept, missing, caplog):
    setattr(kernel, missing, False)
    with caplog.at_level(logging.INFO):
        for passes in (1, 2, 3):
            full_pass(kept)
            full_pass(kept)
            assert kernel.written == passes
            assert kernel.asked <= 2 * passes
            kernel.now += AGAIN_S
    assert len(caplog.records) == 1


@pytest.mark.parametrize("missing", ["library", "tables"])
def test_what_comes_later_is_noticed_and_used(kernel, kept, missing):
    setattr(kernel, missing, False)
    full_pass(kept)
    setattr(kernel, missing, True)
    kernel.now += AGAIN_S

    full_pass(kept)

    (script,) = kernel.scripts
    assert all(f"{PEER} . {4000 + number}" in script for number in range(LINKS))
    assert len(kernel.changes) == LINKS - 1


def test_a_table_that_was_refused_is_made_even_when_the_one_before_takes_changes(kernel, kept):
    full_pass(kept)
    kernel.busy = True
    kernel.tables = False
    kept.admit(4000, 10, MOVED)
    kernel.tables = True
    kept.admit(4001, 11, MOVED)
    assert len(kernel.changes) == LINKS
    kernel.busy = False
    kernel.now += AGAIN_S

    kept.admit(4002, 12, MOVED)

    assert len(kernel.scripts) == 2
    assert all(f"{MOVED} . {vni}" in kernel.scripts[1] for vni in (4000, 4001, 4002))


def test_with_the_last_device_the_table_goes_whatever_was_refused(kernel, kept):
    kept.admit(4000, 10, PEER)
    kernel.tables = False
    kept.admit(4000, 10, MOVED)
    kernel.tables = True

    kept.forget(4000, 10)

    assert kernel.scripts[1:] == [sources._REMOVE]


@pytest.mark.parametrize("missing", ["library", "tables"])
def test_a_node_without_a_device_and_a_table_is_asked_for_nothing(kernel, kept, missing, caplog):
    setattr(kernel, missing, False)
    with caplog.at_level(logging.INFO):
        kept.adopt({})
    assert (kernel.scripts, kernel.written, caplog.records) == ([], 0, [])
    assert kept._nft is None
