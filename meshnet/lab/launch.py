"""Starting a lab from outside, and ending it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import MeshnetError
from meshnet.lab.channel import STAY, ChannelClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.lab.channel import Channel
    from meshnet.lab.plan import LabPlan
    from meshnet.lab.record import LabRecord, LabRecords

END_TIMEOUT_S = 60.0


@attrs.frozen
class Launched:
    """A lab that is up. It ends with this process, however that ends, unless it was let go.

    Attributes:
        record: what stands outside.
        report: what its supervisor says of it.
        channel: to its first process: the lab ends when this closes.
        records: where it stands.
    """

    record: LabRecord
    report: dict[str, Any]
    channel: Channel
    records: LabRecords

    def let_go(self) -> None:
        """Have the lab live without this process from now on. Raises MeshnetError when it has ended already."""
        with self.channel:
            try:
                self.channel.send(STAY)
            except ChannelClosed as error:
                raise MeshnetError(f"lab {self.record.name!r}: its supervisor has ended: {error}") from error

    def end(self) -> None:
        """End the lab and return when its last process is gone. Raises MeshnetError as `end` does."""
        self.channel.close()
        end(self.record, self.records)


def launch(plan: LabPlan, records: LabRecords, progress: Callable[[dict[str, Any]], None]) -> Launched:
    """Bring a lab up. `progress` is told ``{"step", "done", "of"}``.

    Raises:
        UsageError: a lab of that name runs.
        MeshnetError: there is no lab now, and why.
    """
    from meshnet.lab.box import make_box  # noqa: PLC0415 - who ends a lab needs nothing of all that
    from meshnet.lab.first import first_process  # noqa: PLC0415

    box = make_box(plan.name, records, lambda channel: first_process(plan, channel))
    try:
        while True:
            message = box.channel.receive()
            if "error" in message:
                raise MeshnetError(f"lab {plan.name!r}: {message['error']}")
            if message["step"] == "up":
                return Launched(box.record, message, box.channel, records)
            progress(message)
    except BaseException as error:
        box.channel.close()
        end(box.record, records)
        if isinstance(error, ChannelClosed):
            raise MeshnetError(f"lab {plan.name!r}: its supervisor ended before everything was up: {error}") from error
        raise


def end(record: LabRecord, records: LabRecords) -> None:
    """End a lab and return when its last process is gone. Ended already is fine.

    Raises MeshnetError when the kernel has not got rid of it after a minute.
    """
    try:
        pidfd = os.pidfd_open(record.pid)
    except ProcessLookupError:
        records.forget(record)
        return
    try:
        # only now is it sure that the descriptor is of that process and not of a later one with its number
        if record.alive:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            _wait(pidfd, record)
    finally:
        os.close(pidfd)
    records.forget(record)


def _wait(pidfd: int, record: LabRecord) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    if not poll.poll(END_TIMEOUT_S * 1000):
        raise MeshnetError(
            f"lab {record.name!r}: process {record.pid} is still there {END_TIMEOUT_S:g} s after SIGKILL"
        )
