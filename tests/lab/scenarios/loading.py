"""A load of TCP from pod to pod."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab
    from tests.lab.scenarios.wiring import Cable

SERVE = """
import socket, sys
with socket.create_server((sys.argv[1], 99)) as listener:
    print("started", flush=True)
    listener.settimeout(20)
    connection, _ = listener.accept()
    connection.settimeout(20)
    total = 0
    while data := connection.recv(1 << 18):
        total += len(data)
    print(total)
"""
SEND = """
import socket, sys
with socket.create_connection((sys.argv[1], 99), 20) as connection:
    connection.sendall(bytes(int(sys.argv[2])))
"""


def load(
    lab: Lab, cable: Cable, directory: Path, *, size: int = 8 << 20, sender: str = "r1", receiver: str = "r2"
) -> int:
    """Send bytes by TCP from r1 to r2, its end of a cable, unless told otherwise; return how many arrived."""
    address = cable.addresses[1]
    out = directory / "served.txt"
    with out.open("w") as output, lab.started_in(receiver, output, sys.executable, "-c", SERVE, address) as server:
        deadline = time.monotonic() + 20
        while out.read_text() == "":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        lab.exec(sender, sys.executable, "-c", SEND, address, size)
        assert server.wait(20) == 0
    return int(out.read_text().split()[1])
