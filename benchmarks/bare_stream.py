"""gRPC alone between two nodes, in Python, with the options and the mutual TLS of daemons: what a wire can come to.

    bare_stream.py serve ADDRESS
    bare_stream.py call ADDRESS SECONDS

A call writes messages of 1 MiB, as large as a full wire's, for so long, then a hundred bytes at a time, each of which
is waited for. It prints Gbit/s, and the p50 of those round trips in milliseconds. Both ends show one certificate.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
from joined_nodes import NODES
from traffic import inside

from meshnet.peers import wiring
from meshnet.peers.identity import Identity
from meshnet.peers.malloc import keep_message_memory

if TYPE_CHECKING:
    from joined_nodes import JoinedNodes

PORT = 51002
IDENTITY = Path("/run/bench/bare")
NAME = "bare"
METHOD = "/bench.Bare/Stream"
LARGE = bytes(1 << 20)
SMALL = bytes(100)
ROUND_TRIPS = 200


def bare_stream(nodes: JoinedNodes, seconds: float) -> tuple[float, float]:
    """Return Gbit/s of a stream between the nodes, and the p50 of its round trips in milliseconds."""
    first, second = (nodes.nodes[name] for name in NODES)
    Identity(IDENTITY, NAME)
    serve = [sys.executable, __file__, "serve", second.address]
    call = [sys.executable, __file__, "call", second.address, f"{seconds:g}"]
    with subprocess.Popen(inside(second.path, *serve), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            if server.stdout.readline() != "ready\n":
                sys.exit("bare_stream.py does not serve")
            done = subprocess.run(
                inside(first.path, *call), capture_output=True, text=True, timeout=seconds + 60, check=False
            )
        finally:
            server.kill()
    if done.returncode:
        sys.exit(f"bare_stream.py: {done.stderr}")
    rate, p50 = map(float, done.stdout.split())
    return rate, p50


async def _serve(address: str) -> None:
    pair = Identity(IDENTITY, NAME).current
    keys = [(pair.key.encode(), pair.certificate.encode())]
    server = grpc.aio.server(options=wiring.server_options())
    service, _, method = METHOD[1:].partition("/")
    handlers: dict[str, Any] = {method: grpc.stream_stream_rpc_method_handler(_answer)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    credentials = grpc.ssl_server_credentials(keys, pair.certificate.encode(), require_client_auth=True)
    server.add_secure_port(f"{address}:{PORT}", credentials)
    await server.start()
    print("ready", flush=True)
    await server.wait_for_termination()


async def _answer(_requests: object, context: Any) -> None:
    """Answer what is small."""
    while (message := await context.read()) is not grpc.aio.EOF:
        if len(message) < len(LARGE):
            await context.write(message)


async def _call(address: str, seconds: float) -> None:
    pair = Identity(IDENTITY, NAME).current
    channel = wiring.stream_channel(wiring.target(address, PORT), pair, NAME, [pair.certificate])
    stream: Any = channel.stream_stream(METHOD)()
    await _round_trip(stream)
    begin, count = time.perf_counter(), 0
    while time.perf_counter() - begin < seconds:
        await stream.write(LARGE)
        count += 1
    await _round_trip(stream)  # all of them are there
    rate = count * len(LARGE) * 8 / (time.perf_counter() - begin) / 1e9
    p50 = statistics.median([await _round_trip(stream) for _ in range(ROUND_TRIPS)])
    print(rate, p50)


async def _round_trip(stream: Any) -> float:
    begin = time.perf_counter()
    await stream.write(SMALL)
    await stream.read()
    return (time.perf_counter() - begin) * 1000


if __name__ == "__main__":
    keep_message_memory()
    what, address, *more = sys.argv[1:]
    asyncio.run(_serve(address) if what == "serve" else _call(address, float(more[0])))
