"""What a wire counts. *Sent* is what the pod sends to its peer, *received* what the peer's pod sends to it."""

from __future__ import annotations

import errno

import attrs


@attrs.define
class Counters:
    """Frames, bytes and drops of one end, by name; a frame that the kernel would cut into segments counts as one.

    Attributes:
        sent_frames, sent_bytes: given to the stream.
        received_frames, received_bytes: given to the port.
        sent_dropped_backlog: the port's socket was full, since the stream did not take them as fast.
        sent_dropped_too_long: longer than any frame that this driver carries.
        sent_dropped_unknown: of a kind that the kernel cannot describe to us.
        received_dropped_port_down: the port was down.
        received_dropped_too_long: longer than the port's MTU allows.
        received_dropped_queue_full: the port's queue was full.
        received_dropped_header: with an offload header that does not fit the frame.
        received_dropped_refused: the kernel refused them otherwise.
        bad_messages: of the peer's; each ended its stream.
        streams: that carried this wire so far.
    """

    sent_frames: int = 0
    sent_bytes: int = 0
    received_frames: int = 0
    received_bytes: int = 0
    sent_dropped_backlog: int = 0
    sent_dropped_too_long: int = 0
    sent_dropped_unknown: int = 0
    received_dropped_port_down: int = 0
    received_dropped_too_long: int = 0
    received_dropped_queue_full: int = 0
    received_dropped_header: int = 0
    received_dropped_refused: int = 0
    bad_messages: int = 0
    streams: int = 0

    def refused(self, number: int | None) -> None:
        """Count a frame that the kernel did not take for the port, by the error number it gave."""
        if number == errno.EMSGSIZE:
            self.received_dropped_too_long += 1
        elif number == errno.ENETDOWN:
            self.received_dropped_port_down += 1
        elif number in (errno.ENOBUFS, errno.EAGAIN):
            self.received_dropped_queue_full += 1
        else:
            self.received_dropped_refused += 1

    def as_dict(self) -> dict[str, int]:
        return attrs.asdict(self)
