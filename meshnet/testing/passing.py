"""What passes over a link, and where it is heard."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from meshnet.testing.frames import Frame, FrameSocket, judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from meshnet.testing.cable import Cable
    from meshnet.testing.ends import Station

BROADCAST = "ff:ff:ff:ff:ff:ff"
EXPERIMENTAL = b"\x88\xb5"
SILENCE_S = 0.2
"""How long to listen before it counts that nothing came."""
FRAME_S = 0.3
"""How long a frame may take."""
OPENING_S = 1.5
"""How long after carrier the first frame may be lost."""


def settle(cable: Cable) -> None:
    """Wait until frames pass each way, or have had their time to.

    The queues of devices that were just made open a moment after carrier; on a busy machine that is a long moment.
    """
    cable.settle()
    comes_to_pass(cable, OPENING_S)


def comes_to_pass(cable: Cable, patience_s: float) -> bool:
    """Tell whether frames pass each way within `patience_s` seconds."""
    deadline = time.monotonic() + patience_s
    return all(
        _comes(sender, receiver, deadline) for sender, receiver in ((cable.near, cable.far), (cable.far, cable.near))
    )


def _comes(sender: Station, receiver: Station, deadline: float) -> bool:
    while lost(sender, receiver, [own_frame(sender, receiver)]):
        if time.monotonic() > deadline:
            return False
    return True


def lost(sender: Station, receiver: Station, frames: Iterable[Frame]) -> dict[str, str]:
    """Send frames; return by name what became of each that did not pass."""
    with (
        FrameSocket(sender.interface, sender.namespace.fd) as out,
        FrameSocket(receiver.interface, receiver.namespace.fd) as into,
    ):
        verdicts = judge(out, into, list(frames), timeout=FRAME_S)
    return {name: verdict for name, verdict in verdicts.items() if verdict != "passed"}


def assert_both_ways(cable: Cable, payload: int = 100) -> None:
    """Check that a frame with so many bytes after its header passes each way."""
    assert lost(cable.near, cable.far, [own_frame(cable.near, cable.far, payload)]) == {}
    assert lost(cable.far, cable.near, [own_frame(cable.far, cable.near, payload)]) == {}


def assert_goes_only(sender: Station, receiver: Station, *bystanders: Station) -> None:
    """Check that a frame is received, and not heard at other interfaces."""
    listening = [FrameSocket(bystander.interface, bystander.namespace.fd) for bystander in bystanders]
    try:
        frame = own_frame(sender, receiver)
        assert lost(sender, receiver, [frame]) == {}
        for bystander, ear in zip(bystanders, listening, strict=True):
            assert frame.data not in heard(ear), f"also heard at {bystander.interface}"
    finally:
        for ear in listening:
            ear.close()


def heard(listening: FrameSocket) -> list[bytes]:
    """Return the frames that came in, up to a silence."""
    frames = []
    while (frame := listening.receive(SILENCE_S)) is not None:
        frames.append(frame)
    return frames


def own_frames(sender: Station, receiver: Station) -> Iterator[Frame]:
    """Frames to one interface's MAC from the other's, and to all, short and full."""
    source = raw(sender.mac)
    for name, mac in (("unicast", receiver.mac), ("broadcast", BROADCAST)):
        head = raw(mac) + source + EXPERIMENTAL
        yield Frame(name, head + bytes(46))
        yield Frame(f"full {name}", head + (bytes(range(250)) * 6)[: sender.mtu])


def own_frame(sender: Station, receiver: Station, payload: int = 100) -> Frame:
    """A frame from one interface's MAC to the other's, with so many bytes after its header."""
    return Frame(f"{payload} bytes", raw(receiver.mac) + raw(sender.mac) + EXPERIMENTAL + b"o" * payload)


def raw(mac: str) -> bytes:
    """A MAC address as a frame has it."""
    return bytes.fromhex(mac.replace(":", ""))
