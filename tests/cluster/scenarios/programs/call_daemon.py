"""Calls a node's daemon: ``call_daemon.py ADDRESS PORT NODE CERTIFICATE NAME IDENTITY``, in a pod of meshnet's image.

NODE is what the called one is named, CERTIFICATE what it shows, NAME what the caller says it is, IDENTITY a directory
with a key, or where one is made. Prints JSON: how each try ended.
"""

import asyncio
import json
import socket
import ssl
import sys
from pathlib import Path

import grpc

from meshnet.peers import wiring
from meshnet.peers.identity import Identity
from meshnet.peers.messages import Hello, encode_hello

LIMIT_S = 20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


def plainly(address, port):
    """Without TLS: what comes back."""
    with socket.create_connection((address, port), LIMIT_S) as plain:
        return _answer(plain)


def namelessly(address, port):
    """By TLS without a certificate of one's own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((address, port), LIMIT_S) as plain, context.wrap_socket(plain) as secure:
        return _answer(secure)


def _answer(sock):
    sock.settimeout(LIMIT_S)
    try:
        sock.sendall(PREFACE)
        return sock.recv(1000).hex()
    except (ConnectionError, ssl.SSLError):
        return ""


async def as_node(target, node, certificate, identity, method):
    """As a node: the code of how the call ended, or that there is a session."""
    async with wiring.session_channel(target, identity.current, node, [certificate]) as channel:
        call = channel.stream_stream(f"/{wiring.SERVICE}/{method}")(timeout=LIMIT_S)
        try:
            await call.write(encode_hello(Hello(identity.node)))
            if await call.read() is not grpc.aio.EOF:
                return "answered"
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass
        return (await call.code()).name


def main(address, port, node, certificate, name, directory):
    identity = Identity(Path(directory), name)
    target = wiring.target(address, int(port))
    calls = {
        method: asyncio.run(as_node(target, node, certificate, identity, method)) for method in ("Session", "Stream")
    }
    tries = {"plain": plainly(address, int(port)), "nameless": namelessly(address, int(port)), **calls}
    print(json.dumps(tries))


main(*sys.argv[1:])
