"""A call is ended with a status, whenever that comes."""

from __future__ import annotations

import asyncio
import gc

import grpc
import pytest

from meshnet.peers.door import Door, begun
from meshnet.peers.identity import Identity
from meshnet.peers.pins import Pins
from meshnet.peers.refusals import Refusals


class Context:
    """What gRPC gives a handler; as there, the metadata count as sent only when who sends them has been told."""

    def __init__(self, certificate):
        self.certificate = certificate
        self.done = asyncio.Event()
        self.sent = 0
        self.known = False
        self.status = None

    def auth_context(self):
        return {
            "ssl_tls_version": [b"TLSv1.3"],
            "x509_subject_alternative_name": [b"a"],
            "x509_pem_cert": [self.certificate.encode()],
        }

    def peer(self):
        return "ipv4:127.0.0.1:1"

    async def send_initial_metadata(self, _metadata):
        self.sent += 1
        await self.done.wait()
        self.known = True

    async def abort(self, code, _details):
        if not self.known:
            self.sent += 1
        assert self.sent == 1, "TOO_MANY_OPERATIONS"
        self.status = code


@pytest.mark.parametrize("ended", ["while they are sent", "when they are sent"])
def test_a_call_is_ended_once_its_answer_has_begun(tmp_path, ended):
    async def main():
        certificate = Identity(tmp_path, "a").current.certificate
        pins = Pins()
        pins.set("a", (certificate,))
        door, context = Door(pins, Refusals()), Context(certificate)

        async def work(_caller):
            await begun(context.send_initial_metadata(()))
            await asyncio.sleep(60)

        call = asyncio.create_task(door.serve(context, work))
        await asyncio.sleep(0.01)
        if ended == "when they are sent":
            context.done.set()
            await asyncio.sleep(0.01)
        pins.set("a", ())
        door.check()
        await asyncio.sleep(0.01)
        context.done.set()
        await asyncio.wait({call}, timeout=5)
        assert context.status is grpc.StatusCode.UNAUTHENTICATED

    asyncio.run(main())


@pytest.mark.parametrize("turns", range(6))
def test_what_fails_just_when_the_caller_goes_is_nobodys(tmp_path, turns, caplog):
    async def main():
        certificate = Identity(tmp_path, "a").current.certificate
        pins = Pins()
        pins.set("a", (certificate,))
        fails = asyncio.Event()

        async def work(_caller):
            await fails.wait()
            raise ValueError("the caller has gone")

        call = asyncio.create_task(Door(pins, Refusals()).serve(Context(certificate), work))
        await asyncio.sleep(0.01)
        fails.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        call.cancel()
        await asyncio.wait({call})
        call.cancelled() or call.exception()

    asyncio.run(main())
    gc.collect()
    assert caplog.text == ""


def test_what_fails_while_a_call_is_ended_is_nobodys(caplog):
    async def main():
        failing = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(begun(failing))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        failing.set_exception(ValueError("the caller has gone"))
        await asyncio.wait({task})
        assert task.cancelled()

    asyncio.run(main())
    assert caplog.text == ""
