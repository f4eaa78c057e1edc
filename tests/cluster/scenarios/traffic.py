"""Pings that go on, from inside a pod, whatever happens to kubelet, runtime and API server meanwhile."""

from __future__ import annotations

import re
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

from tests.cluster.machine.images import BUSYBOX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.scenarios.space import Space

EVERY_S = 0.1
END_S = 30
_SCRIPT = 'ip netns exec "$0" "$1" ping -i "$2" "$3" & read -r end; kill -INT $!; wait $!'


@dataclass
class Pings:
    """What became of them; known when they have ended.

    Attributes:
        sent: how many were sent.
        lost: how many of them were never answered; the last one may have been under way.
    """

    sent: int = 0
    lost: int = 0

    @property
    def lost_s(self) -> float:
        """For how long none was answered, in all."""
        return self.lost * EVERY_S


def namespace(space: Space, pod: str) -> str:
    """Return the name of a pod's network namespace on its node."""
    return str(space.status(pod)["net_ns"]).rpartition("/")[2]


@contextmanager
def pinging(space: Space, pod: str, address: str) -> Iterator[Pings]:
    """Have a pod ping an address ten times a second for the time of the block."""
    node = space.cluster.node(space.places[pod])
    command = node.command("sh", "-c", _SCRIPT, namespace(space, pod), str(BUSYBOX), str(EVERY_S), address)
    pings = Pings()
    # not a pipe: it would be full in two minutes, and the program wait for a reader
    with TemporaryFile("w+") as output:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=output, text=True) as process:
            try:
                yield pings
            finally:
                process.communicate("end\n", timeout=END_S)
        output.seek(0)
        said = output.read()
    found = re.search(r"(\d+) packets transmitted", said)
    assert found is not None, said
    pings.sent = int(found[1])
    assert pings.sent > 1, said
    answered = {int(number) for number in re.findall(r"seq=(\d+)", said)}
    pings.lost = len(set(range(pings.sent - 1)) - answered)
