"""What a daemon takes a peer for that falls silent, refuses, or vanishes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import sys
import time

import pytest

from meshnet.model.node_record import NodeRecord
from meshnet.model.session import Contact, EndState
from meshnet.peers.identity import Identity
from meshnet.peers.messages import Hello
from meshnet.peers.peers import _silence_s
from meshnet.peers.probe import probe
from tests.peers.daemons import Daemon, contacts, end, pair, run, started, until
from tests.peers.hostile import Proxy
from tests.peers.test_probe import refuse_sockets


async def without_sockets(path, monkeypatch, code):
    """A daemon that wants to hear of node b, and is refused every socket for it with `code`."""
    one = await started(path, "a", timeout_s=0.5)
    refuse_sockets(monkeypatch, code)
    one.peers.record("b", NodeRecord("b", ("::1",), 1, one.identity.certificates()))
    one.peers.want(frozenset({"b"}))
    return one


@contextlib.asynccontextmanager
async def through_a_proxy(path, **times):
    """Two daemons; what the first hears of the second comes through a proxy."""
    one, two = await started(path, "a", **times), await started(path, "b", **times)
    proxy = Proxy(two.peers.port)
    await proxy.start()
    two.knows(one)
    one.peers.record("b", two.record(port=proxy.port))
    one.peers.want(frozenset({"b"}))
    try:
        await until(lambda: one.is_live(two))
        yield one, two, proxy
    finally:
        await proxy.stop()


def test_who_takes_connections_and_is_silent_is_away(tmp_path):
    async def main():
        async with through_a_proxy(tmp_path, timeout_s=3, grace_s=60) as (one, two, proxy):
            proxy.freeze()
            await until(lambda: one.book.last("b") is Contact.AWAY)
            assert "takes connections" in one.book.why("b")
            await asyncio.sleep(3.5)
            assert contacts(one) == [Contact.LIVE, Contact.AWAY]
            two.book.states = {end("r2"): EndState(5)}
            proxy.goes.set()
            await until(lambda: one.is_live(two))
            assert one.book.told["b"] == two.book.states

    run(main)


def test_a_record_that_changes_while_its_node_is_asked_holds_at_once(tmp_path, monkeypatch):
    """The old address would be dialled, and given as long to answer as a daemon that is busy."""

    async def main():
        one, two = await started(tmp_path, "a"), await started(tmp_path, "b")
        proxy = Proxy(two.peers.port)
        before = two.record(port=await proxy.start())
        proxy.freeze()

        async def probed(*asked):
            answer = await probe(*asked)
            one.knows(two)
            return answer

        monkeypatch.setattr("meshnet.peers.subscription.probe", probed)
        two.knows(one)
        one.peers.record("b", before)
        one.peers.want(frozenset({"b"}))
        await until(lambda: one.is_live(two))
        assert contacts(one) == [Contact.LIVE]
        await proxy.stop()

    run(main)


def test_who_refuses_is_away(tmp_path):
    async def main():
        async with through_a_proxy(tmp_path, grace_s=60) as (one, two, proxy):
            await proxy.refuse()
            await until(lambda: one.book.last("b") is Contact.AWAY)
            assert "refuses connections" in one.book.why("b")
            await proxy.start()
            await until(lambda: one.is_live(two))

    run(main)


def test_who_vanishes_is_dead_and_live_when_it_is_back(tmp_path):
    async def main():
        async with through_a_proxy(tmp_path, timeout_s=3, grace_s=60) as (one, two, proxy):
            await proxy.vanish()
            await until(lambda: one.book.last("b") is Contact.DEAD)
            assert "does not answer" in one.book.why("b")
            assert Contact.AWAY not in contacts(one)
            await proxy.stop()
            await proxy.start()
            await until(lambda: one.is_live(two))
            assert contacts(one) == [Contact.LIVE, Contact.DEAD, Contact.LIVE]

    run(main)


def test_who_is_back_with_another_protocol_is_not_dead(tmp_path):
    """As after the reboot into a release that is too new: it is the protocol that is to be mended, not the network."""

    async def main():
        async with through_a_proxy(tmp_path, timeout_s=2, grace_s=60) as (one, two, proxy):
            await proxy.vanish()
            await until(lambda: one.book.last("b") is Contact.DEAD)
            await two.peers.stop()
            back = Daemon(tmp_path, "b", two.peers.port, timeout_s=2, grace_s=60)
            back.peers._hello = Hello("b", (2, 3))
            await back.peers.start()
            back.knows(one)
            await proxy.stop()
            await proxy.start()
            await until(lambda: one.book.last("b") is Contact.INCOMPATIBLE)
            assert one.book.why("b") == "node b speaks protocol 2 to 3, this node 1 to 1"
            await proxy.refuse()
            await until(lambda: one.book.last("b") is Contact.AWAY)
            await proxy.vanish()
            await until(lambda: one.book.last("b") is Contact.DEAD)
            assert contacts(one) == [
                Contact.LIVE, Contact.DEAD, Contact.INCOMPATIBLE, Contact.AWAY, Contact.DEAD
            ]  # fmt: skip

    run(main)


def test_a_node_that_this_one_has_no_socket_for_is_told_with_its_reason_once(tmp_path, monkeypatch, caplog):
    """As when it has an IPv6 address, and IPv6 is off here."""

    async def main():
        one = await without_sockets(tmp_path, monkeypatch, errno.EAFNOSUPPORT)
        await until(lambda: one.book.last("b") is Contact.DEAD)
        await asyncio.sleep(2)
        assert contacts(one) == [Contact.SEEKING, Contact.DEAD]
        why = "node b does not answer at ::1, TCP port 1 (this node has no socket for it: Address family not supported"
        assert all(told.startswith(why) for _, _, told in one.book.contacts)
        assert caplog.records == []

    run(main)


def test_a_node_that_this_one_has_no_descriptor_for_stays_what_it_was(tmp_path, monkeypatch, caplog):
    def refuse(*_args, **_named):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async def main():
        async with through_a_proxy(tmp_path, timeout_s=2) as (one, two, proxy):
            with monkeypatch.context() as patched:
                patched.setattr("meshnet.peers.probe.socket.socket", refuse)
                proxy.freeze()
                await until(lambda: "node b cannot be asked" in caplog.text)
                await asyncio.sleep(2.5)
                assert contacts(one) == [Contact.LIVE]
            proxy.goes.set()
            two.book.states = {end("r2"): EndState(5)}
            await until(lambda: one.is_live(two) and one.book.told["b"] == two.book.states)
            assert contacts(one) == [Contact.LIVE]
            assert len([record for record in caplog.records if "node b cannot be asked" in record.message]) == 1

    run(main)


def test_a_node_whose_record_goes_while_it_cannot_be_asked_is_dead(tmp_path, monkeypatch):
    async def main():
        one = await without_sockets(tmp_path, monkeypatch, errno.EMFILE)
        await until(lambda: "cannot be asked" in one.book.why("b"))
        one.peers.record("b", None)
        await until(lambda: one.book.last("b") is Contact.DEAD, 3)

    run(main)


def test_a_fault_in_what_a_nodes_death_leads_to_leaves_the_others_watched(tmp_path, caplog):
    async def main():
        one = Daemon(tmp_path, "a", timeout_s=0.5)
        told = one.book.contact

        def faulty(node, contact, why):
            told(node, contact, why)
            if (node, contact) == ("b", Contact.DEAD):
                raise RuntimeError("a fault")

        one.book.contact = faulty
        await one.peers.start()
        one.peers.want(frozenset({"b", "c"}))
        for name, address in (("b", "192.0.2.1"), ("c", "192.0.2.2")):
            one.peers.record(name, NodeRecord(name, (address,), 1, one.identity.certificates()))
            await until(lambda name=name: one.book.last(name) is Contact.DEAD)
        assert caplog.text.count("RuntimeError: a fault") == 1

    run(main)


def test_a_moment_of_silence_is_nothing(tmp_path):
    async def main():
        async with through_a_proxy(tmp_path) as (one, _, proxy):
            for _ in range(4):
                proxy.freeze()
                await asyncio.sleep(0.3)
                proxy.goes.set()
                await asyncio.sleep(0.3)
            assert contacts(one) == [Contact.LIVE]

    run(main)


def test_a_busy_loop_of_ours_is_not_their_silence(tmp_path):
    async def main():
        one, two = await pair(tmp_path, timeout_s=1)
        for _ in range(3):
            time.sleep(1.5)  # noqa: ASYNC251 - that is the point
            await asyncio.sleep(0.2)
        assert contacts(one) == contacts(two) == [Contact.LIVE]

    run(main)


PEER = """
import asyncio, sys
from pathlib import Path
from meshnet.model.node_record import NodeRecord
from tests.peers.daemons import started

async def main(path, certificate, port):
    peer = await started(Path(path), "b")
    peer.peers.record("a", NodeRecord("a", ("127.0.0.1",), int(port), (Path(certificate).read_text(),)))
    peer.peers.want(frozenset({"a"}))
    print(peer.peers.port, flush=True)
    await asyncio.sleep(50)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("end_by", [signal.SIGKILL, signal.SIGCONT])
def test_a_process_that_is_stopped_is_away_and_so_is_one_that_is_killed(tmp_path, end_by):
    async def main():
        one = await started(tmp_path, "a", timeout_s=3, grace_s=60)
        (tmp_path / "a.pem").write_text(one.identity.current.certificate)
        arguments = ("-c", PEER, str(tmp_path), str(tmp_path / "a.pem"), str(one.peers.port))
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": "."}
        )
        try:
            port = int(await process.stdout.readline())
            certificates = Identity(tmp_path / "b", "b").certificates()
            one.peers.record("b", NodeRecord("b", ("127.0.0.1",), port, certificates))
            one.peers.want(frozenset({"b"}))
            await until(lambda: one.book.last("b") is Contact.LIVE)
            process.send_signal(signal.SIGSTOP)
            await until(lambda: one.book.last("b") is Contact.AWAY)
            await asyncio.sleep(3.5)
            assert one.book.last("b") is Contact.AWAY
            process.send_signal(end_by)
            if end_by == signal.SIGCONT:
                await until(lambda: one.book.last("b") is Contact.LIVE)
            else:
                await until(lambda: "refuses" in one.book.why("b"))
                assert one.book.last("b") is Contact.AWAY
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    run(main)


def test_a_renewal_that_fails_as_nobody_expected_ends_no_watch_over_peers(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("meshnet.peers.peers._RENEW_S", 1.0)

    def broken():
        raise RuntimeError("on purpose")

    async def main():
        async with through_a_proxy(tmp_path, timeout_s=3, grace_s=60) as (one, _, proxy):
            monkeypatch.setattr(one.identity, "advance", broken)
            await until(lambda: "on purpose" in caplog.text)
            proxy.freeze()
            await until(lambda: one.book.last("b") is Contact.AWAY)

    run(main)


@pytest.mark.parametrize(("timeout_s", "silence_s"), [(3.0, 2.35), (2.0, 1.35), (1.2, 1.0), (0.5, 0.5)])
def test_a_node_that_is_still_heard_once_is_dead_in_time(timeout_s, silence_s):
    """It hears nothing, and a sign of life was due; but signs of life themselves are never too far apart."""
    assert _silence_s(timeout_s) == pytest.approx(silence_s)
