"""Sessions between two daemons over the loopback: what is told is heard, and what happens when one goes."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from meshnet.errors import MeshnetError
from meshnet.model.session import Contact, EndState
from meshnet.peers import wiring
from tests.peers.daemons import Daemon, end, pair, run, started, until

UP = EndState(4, "vxlan", end("r2"), 9, up=True, offer={"vni": 7})


def test_everything_is_told_then_every_change(tmp_path):
    async def main():
        one, two = Daemon(tmp_path, "a"), Daemon(tmp_path, "b")
        one.book.states = {end("r1"): UP, end("r3"): EndState(1)}
        await one.peers.start()
        await two.peers.start()
        one.knows(two)
        two.knows(one)
        await until(lambda: two.is_live(one))
        assert two.book.told == {"a": one.book.states}

        one.peers.announce("b", end("r1"), None)
        one.peers.announce("b", end("r3"), EndState(2))
        one.peers.announce("c", end("r3"), EndState(9))
        await until(lambda: two.book.told == {"a": {end("r3"): EndState(2)}})
        assert two.book.wholes == 1

    run(main)


def test_a_burst_of_changes_ends_with_the_last(tmp_path):
    async def main():
        one, two = await pair(tmp_path)
        for epoch in range(5000):
            one.peers.announce("b", end(f"r{epoch % 7}"), EndState(epoch))
            if epoch % 100 == 0:
                await asyncio.sleep(0)
        await until(lambda: {state.epoch for state in two.book.told["a"].values()} == set(range(4993, 5000)))

    run(main)


def test_a_daemon_that_goes_is_away_and_back_with_all_it_knows(tmp_path):
    async def main():
        one, two = await pair(tmp_path, timeout_s=3, grace_s=60)
        await two.peers.stop()
        await until(lambda: one.book.last("b") is Contact.AWAY)
        assert one.book.why("b") == f"node b refuses connections at 127.0.0.1, TCP port {two.peers.port}"
        await asyncio.sleep(3.5)
        assert one.book.last("b") is Contact.AWAY

        back = Daemon(tmp_path, "b", two.peers.port)
        back.book.states = {end("r2"): UP}
        await back.peers.start()
        back.knows(one)
        await until(lambda: one.is_live(back) and back.is_live(one))
        assert one.book.told == {"b": {end("r2"): UP}}
        assert [contact for _, contact, _ in one.book.contacts].count(Contact.AWAY) == 1
        assert one.peers.contacts() == {"b": (Contact.LIVE, "")}

    run(main)


def test_a_daemon_that_stays_away_lapses(tmp_path):
    async def main():
        one, two = await pair(tmp_path, timeout_s=3, grace_s=0.5)
        await two.peers.stop()
        await until(lambda: one.book.last("b") is Contact.LAPSED)
        assert Contact.DEAD not in {contact for _, contact, _ in one.book.contacts}

    run(main)


def test_who_is_not_wanted_any_more_is_left_alone(tmp_path):
    async def main():
        one, two = await pair(tmp_path)
        one.peers.want(frozenset())
        assert one.peers.contacts() == {}
        await asyncio.sleep(0)
        seen = len(one.book.contacts)
        await two.peers.stop()
        assert two.is_live(one)
        await asyncio.sleep(0.3)
        assert len(one.book.contacts) == seen

    run(main)


def test_a_node_without_a_record_is_sought_until_it_has_one(tmp_path):
    async def main():
        one, two = await started(tmp_path, "a", timeout_s=0.2), await started(tmp_path, "b")
        one.peers.want(frozenset({"b"}))
        await until(lambda: one.book.contacts)
        await asyncio.sleep(0.6)
        assert one.book.contacts == [("b", Contact.SEEKING, "there is no record of node b with an address")]
        two.knows(one)
        one.peers.record("b", two.record())
        await until(lambda: one.is_live(two))

    run(main)


def test_a_node_that_moves_is_followed(tmp_path):
    async def main():
        one, two = await pair(tmp_path, grace_s=60)
        await two.peers.stop()
        moved = await started(tmp_path, "b")
        moved.knows(one)
        one.peers.record("b", moved.record(addresses=("256.1.1.1", "127.0.0.1")))
        await until(lambda: one.is_live(moved) and moved.is_live(one) and one.book.wholes == 2)

    run(main)


def test_a_dial_that_is_called_off_before_its_first_word_is_no_fault(tmp_path, monkeypatch, caplog):
    async def main():
        one, two = Daemon(tmp_path, "a"), Daemon(tmp_path, "b")
        dial = wiring.session_channel

        def called_off(*arguments):
            asyncio.get_running_loop().call_soon(one.peers.record, "b", None)
            monkeypatch.setattr(wiring, "session_channel", dial)
            return dial(*arguments)

        monkeypatch.setattr(wiring, "session_channel", called_off)
        await one.peers.start()
        await two.peers.start()
        one.knows(two)
        two.knows(one)
        await until(lambda: wiring.session_channel is dial)
        await asyncio.sleep(0.1)
        one.knows(two)
        await until(lambda: one.is_live(two))
        assert not [told for told in caplog.messages if "failed" in told]

    run(main)


def test_a_port_that_is_taken_is_named_and_can_be_tried_again(tmp_path):
    async def main():
        one = await started(tmp_path, "a")
        two = Daemon(tmp_path, "b", one.peers.port)
        with pytest.raises(MeshnetError, match=rf"127.0.0.1, TCP port {one.peers.port}: Address already in use"):
            await two.peers.start()
        await one.peers.stop()
        await two.peers.start()

    run(main)


def test_an_address_that_this_node_has_not_got_is_named(tmp_path):
    async def main():
        one = Daemon(tmp_path, "a")
        one.peers._listen = ("192.0.2.1", 0)
        with pytest.raises(MeshnetError, match=r"at 192.0.2.1, TCP port 0: Cannot assign requested address"):
            await one.peers.start()

    run(main)


@pytest.mark.parametrize("address", ["", "::1", "127.0.0.1"])
def test_it_listens_where_it_is_told_to(tmp_path, address):
    async def main():
        one, two = Daemon(tmp_path, "a"), Daemon(tmp_path, "b")
        one.peers._listen = (address, 0)
        await one.peers.start()
        await two.peers.start()
        one.knows(two)
        two.peers.record("a", one.record(addresses=(address or "127.0.0.1",)))
        two.peers.want(frozenset({"a"}))
        await until(lambda: two.is_live(one))

    run(main)


def test_who_is_alone_loads_neither_grpc_nor_cryptography(tmp_path):
    Daemon(tmp_path, "a")
    script = (
        "import sys; from pathlib import Path; import meshnet.daemon.run, meshnet_grpcwire;"
        "from meshnet.peers.identity import Identity;"
        f"found = Identity(Path({str(tmp_path / 'a')!r}), 'a');"
        "assert not {'grpc', 'cryptography'} & sys.modules.keys(), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=20)


@pytest.mark.parametrize("bug", [TypeError, ValueError, TimeoutError])
def test_a_bug_in_what_hears_is_no_fault_of_the_peer_and_ends_no_session_for_ever(tmp_path, caplog, bug):
    async def main():
        def fail(*_args, **_named):
            raise bug

        one, two = await pair(tmp_path)
        heard, one.book.heard = one.book.heard, fail
        two.peers.announce("a", end("r2"), UP)
        await until(lambda: "session with node b failed" in caplog.text)
        one.book.heard = heard
        two.book.states = {end("r2"): UP}
        await until(lambda: one.book.told.get("b") == {end("r2"): UP})

    run(main)
