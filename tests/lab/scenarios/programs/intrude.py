"""Opens the stream of a link as its far end, and sends frames by it.

Arguments: NODE ADDRESS CERTIFICATE IDENTITY NAME.
NODE is the one that is called, with its address and a file with its certificate; IDENTITY a directory with the key that
the caller has, or where one is made, NAME what the caller says it is. The link is that of r1:eth1 and r2:eth1. Prints
JSON: the code of how the call ended, what was said of it, and how many messages came.
"""

import asyncio
import json
import sys
from pathlib import Path

import grpc
from meshnet_grpcwire.batch import pack
from meshnet_grpcwire.virtio import HEADER

from meshnet.model.topology import Endpoint
from meshnet.peers import wiring
from meshnet.peers.identity import Identity
from meshnet.peers.streams import About
from meshnet.testing.frames import CORPUS

LIMIT_S = 5


async def main(node, address, certificate, directory, name):
    identity = Identity(Path(directory), name)
    about = About("grpcwire", Endpoint("default", "r1", "eth1"), Endpoint("default", "r2", "eth1"))
    text = Path(certificate).read_text()
    trusted = [text[text.index("-----BEGIN CERTIFICATE") :]]
    read = 0
    async with wiring.stream_channel(wiring.target(address, 51111), identity.current, node, trusted) as channel:
        call = channel.stream_stream(f"/{wiring.SERVICE}/Stream")(metadata=about.metadata(), timeout=LIMIT_S)
        try:
            await call.write(forged())
            while await call.read() is not grpc.aio.EOF:
                read += 1
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            pass
        print(json.dumps({"code": (await call.code()).name, "told": await call.details(), "read": read}))


def forged():
    frames = [bytes(HEADER.size) + frame.data for frame in CORPUS]
    return pack([len(frame) for frame in frames], frames)


asyncio.run(main(*sys.argv[1:]))
