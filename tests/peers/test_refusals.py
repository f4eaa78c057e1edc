"""Who is refused, and that nothing that comes to the port ends the daemon or fills its memory."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import ssl

import grpc
import pytest

from meshnet.model.session import Contact, EndState
from meshnet.model.topology import Endpoint
from meshnet.peers import server, subscribers, wiring
from meshnet.peers.identity import Identity
from meshnet.peers.refusals import QUIET_S, Refusals
from meshnet.peers.streams import About
from tests.peers.daemons import end, pair, run, started, until
from tests.peers.hostile import call_by_tls, calling, hello, refusal


async def works(daemon, path):
    """Show that a daemon takes a session, of a node that was not there before."""
    other = await started(path, f"n{random.getrandbits(32):x}")
    daemon.peers.record(other.name, other.record())
    other.knows(daemon)
    await until(lambda: other.is_live(daemon))
    await other.peers.stop()


def rss():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_call_by_tls_1_2_is_refused_and_counted(tmp_path):
    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller)
        path = tmp_path / "a/current.pem"
        answer = await asyncio.to_thread(call_by_tls, daemon, path, ssl.TLSVersion.TLSv1_3)
        assert b'"node":"b"' in answer[b"data"]
        assert daemon.refused() == {}
        answer = await asyncio.to_thread(call_by_tls, daemon, path, ssl.TLSVersion.TLSv1_2)
        assert b"data" not in answer
        assert daemon.refused() == {"OldTLS": 1}

    run(main)


def test_no_call_comes_without_a_pinned_certificate(tmp_path):
    async def main():
        daemon, stranger = await started(tmp_path, "b"), Identity(tmp_path / "x", "a")
        await daemon.lets_in(Identity(tmp_path / "a", "a"))
        async with calling(daemon, stranger) as call:
            code, _ = await refusal(call, hello("a"))
        assert code is grpc.StatusCode.UNAVAILABLE
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", daemon.peers.port)) as plain, pytest.raises(OSError):  # noqa: PT011
            await asyncio.to_thread(_by_no_certificate, context, plain)
        await works(daemon, tmp_path)

    run(main)


def _by_no_certificate(context, plain):
    plain.settimeout(10)
    with context.wrap_socket(plain) as sock:
        if not sock.recv(100):
            raise OSError("it hung up")


def test_a_certificate_in_the_record_of_another_node_is_no_pin(tmp_path):
    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller, "c")
        for name in ("a", "c"):
            async with calling(daemon, caller) as call:
                code, details = await refusal(call, hello(name))
            assert code is grpc.StatusCode.UNAUTHENTICATED
            assert "its certificate, for a, is in no node record of that name" in details
        assert daemon.refused() == {"UnknownCertificate": 2}
        await daemon.lets_in(caller)
        daemon.peers.record("c", None)
        async with calling(daemon, caller) as call:
            await call.write(hello("a"))
            assert isinstance(await call.read(), bytes)

    run(main)


@pytest.mark.parametrize(
    ("name", "told"),
    [("c", "c"), ("c\n\x1b[2J", r"c \x1b[2J"), ("c" * 60_000, f"{'c' * 979}…")],
    ids=["c", "lines", "long"],
)
def test_a_node_that_calls_itself_another_is_refused(tmp_path, name, told):
    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller)
        async with calling(daemon, caller) as call:
            code, details = await refusal(call, hello(name))
        assert (code, details) == (grpc.StatusCode.PERMISSION_DENIED, f"OtherName: node a calls itself {told}")
        assert daemon.refused() == {"OtherName": 1}

    run(main)


@pytest.mark.parametrize("message", [b"", b"nonsense", b"\xff" * 1000, b"[" * 60_000, b" " * 100_000, b"{}" * 5])
def test_a_first_message_that_is_no_hello_is_refused(tmp_path, message):
    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller)
        async with calling(daemon, caller) as call:
            code, _ = await refusal(call, message)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert daemon.refused() == {"Malformed": 1}
        await works(daemon, tmp_path)

    run(main)


def test_who_says_nothing_at_all_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(server, "HELLO_S", 0.3)

    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller)
        async with calling(daemon, caller) as call:
            code, details = await refusal(call)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert "none came" in details

    run(main)


def test_a_message_that_is_too_large_ends_the_call_alone(tmp_path):
    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller)
        target = wiring.target("127.0.0.1", daemon.peers.port)
        credentials = grpc.ssl_channel_credentials(
            daemon.identity.current.certificate.encode(),
            caller.current.key.encode(),
            caller.current.certificate.encode(),
        )
        options = (("grpc.ssl_target_name_override", "b"), ("grpc.max_send_message_length", -1))
        async with grpc.aio.secure_channel(target, credentials, options) as channel:
            call = channel.stream_stream(f"/{wiring.SERVICE}/Session")()
            code, _ = await refusal(call, b"x" * (32 << 20))
            assert code in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INVALID_ARGUMENT)
        await works(daemon, tmp_path)

    run(main)


@pytest.mark.parametrize("about", [(), (("about-bin", b"\xff"),), (("about-bin", b'{"driver": 1}'),)])
def test_a_stream_that_does_not_say_what_for_is_refused(tmp_path, about):
    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller)
        async with calling(daemon, caller, "Stream", metadata=about) as call:
            code, _ = await refusal(call)
        assert code is grpc.StatusCode.INVALID_ARGUMENT
        assert daemon.book.streams == []
        assert daemon.refused() == {"Malformed": 1}

    run(main)


@pytest.mark.parametrize(
    ("driver", "told"), [("x\n\x1b[2J", r"driver x \x1b[2J"), ("\ud800", r"driver \ud800"), ("y" * 5000, "driver yyy")]
)
def test_a_stream_for_a_driver_whose_name_is_none_is_refused_in_one_short_line(tmp_path, driver, told):
    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller)
        daemon.book.refuse = "there is no such link"
        about = About(driver, end("r1"), end("r2"))
        async with calling(daemon, caller, "Stream", metadata=about.metadata()) as call, asyncio.timeout(5):
            code, details = await refusal(call)
        assert code is grpc.StatusCode.PERMISSION_DENIED
        assert details.startswith(f"StreamRefused: node a, {told}")
        assert details.isprintable()
        assert len(details) < 1100
        assert daemon.refused() == {"StreamRefused": 1}

    run(main)


def test_a_method_that_is_not_there_is_no_matter(tmp_path):
    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller)
        async with calling(daemon, caller, "Anything") as call:
            assert (await refusal(call, b"x"))[0] is grpc.StatusCode.UNIMPLEMENTED
        await works(daemon, tmp_path)

    run(main)


def test_who_reads_nothing_of_what_it_subscribed_to_is_dropped(tmp_path, monkeypatch):
    monkeypatch.setattr(subscribers, "STALLED_S", 1.0)

    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller)
        daemon.book.states = {end(f"r{n}"): EndState(n, offer={"x": "y" * 1000}) for n in range(20_000)}
        async with calling(daemon, caller) as call:
            await call.write(hello("a"))
            await until(lambda: daemon.refused().get("Stalled") == 1)
            assert daemon.peers._subscribers._subscribers == {}
        await works(daemon, tmp_path)

    run(main)


def test_a_second_subscription_takes_the_place_of_the_first(tmp_path):
    async def main():
        daemon, caller = await started(tmp_path, "b"), Identity(tmp_path / "a", "a")
        await daemon.lets_in(caller)
        async with calling(daemon, caller) as first, calling(daemon, caller) as second:
            await first.write(hello("a"))
            await first.read()
            await first.read()
            await second.write(hello("a"))
            assert (await refusal(first))[0] is grpc.StatusCode.UNAUTHENTICATED
            await second.read()
            await second.read()
            assert len(daemon.peers._subscribers._subscribers) == 1
            daemon.peers.announce("a", Endpoint("n", "p", "i"), EndState(8))
            assert b'"epoch":8' in await second.read()
        await until(lambda: daemon.peers._subscribers._subscribers == {})

    run(main)


def test_a_pin_that_changes_ends_the_session_and_lets_no_new_one_in(tmp_path):
    async def main():
        one, two = await pair(tmp_path, grace_s=60)
        other = Identity(tmp_path / "other", "a")
        two.peers.record("a", one.record(certificates=other.certificates()))
        await until(lambda: one.book.last("b") is Contact.AWAY and two.book.last("a") is not Contact.LIVE)
        assert two.refused()["PinRemoved"] == 1
        await asyncio.sleep(1)
        assert one.book.last("b") is Contact.AWAY
        two.peers.record("a", one.record())
        await until(lambda: one.is_live(two) and two.is_live(one))

    run(main)


def test_a_port_scan_harms_nobody(tmp_path):
    async def main():
        one, two = await pair(tmp_path)
        before = rss()
        generator = random.Random(7)

        def scan():
            held = []
            for kind in range(600):
                with contextlib.suppress(OSError):
                    sock = socket.create_connection(("127.0.0.1", two.peers.port), 5)
                    if kind % 3 == 0:
                        sock.sendall(generator.randbytes(generator.randrange(1, 20_000)))
                    elif kind % 3 == 1:
                        sock.sendall(
                            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
                        )  # a TLS hello that goes no further
                    held.append(sock)
            return held

        held = await asyncio.to_thread(scan)
        assert len(held) > 500
        two.peers.announce("a", end("r2"), EndState(3))
        await until(lambda: one.book.told["b"] == {end("r2"): EndState(3)})
        await works(two, tmp_path)
        assert rss() - before < 100 << 20
        assert {contact.value for _, contact, _ in one.book.contacts + two.book.contacts} == {"live"}
        for sock in held:
            sock.close()

    run(main)


def test_no_more_connections_are_taken_than_descriptors_are_spared(tmp_path, monkeypatch):
    monkeypatch.setattr(wiring, "_MOST_CONNECTIONS", 50)

    async def main():
        daemon = await started(tmp_path, "b")
        before = len(os.listdir("/proc/self/fd"))
        held = []
        for _ in range(200):
            reader, writer = await asyncio.open_connection("127.0.0.1", daemon.peers.port)
            held.append((reader, writer))
        await asyncio.sleep(0.5)
        assert len(os.listdir("/proc/self/fd")) - before < 200 + 60
        for _, writer in held:
            writer.transport.abort()
        await asyncio.sleep(0.1)
        await works(daemon, tmp_path)

    run(main)


def test_a_flood_of_refusals_is_a_few_lines(caplog):
    now = 0.0
    refusals = Refusals(lambda: now)
    for number in range(1000):
        refusals.add("Malformed", f"ipv4:10.0.0.1:{number}", "nonsense")
    refusals.add("Malformed", "ipv4:10.0.0.2:1", "nonsense")
    refusals.add("OldTLS", "ipv4:10.0.0.1:1", "TLSv1.2")
    assert len(caplog.records) == 3
    now += QUIET_S
    refusals.add("Malformed", "ipv4:10.0.0.1:5", "nonsense")
    assert caplog.records[-1].getMessage() == "refused ipv4:10.0.0.1:5: Malformed: nonsense (1002 so far)"
    for number in range(1000):
        refusals.add("Malformed", f"ipv4:10.1.{number}.1:5", "nonsense")
    assert len(caplog.records) < 300
    assert refusals.counts() == {"Malformed": 2002, "OldTLS": 1}
