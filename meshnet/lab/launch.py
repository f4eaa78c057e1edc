"""Starting a lab from outside, and ending it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any

from meshnet.errors import MeshnetError
from meshnet.lab.channel import STAY, ChannelClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from meshnet.lab.plan import LabPlan
    from meshnet.lab.record import LabRecord, LabRecords

END_TIMEOUT_S = 60.0


def launch(plan: LabPlan, records: LabRecords, progress: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Bring a lab up and return the supervisor's report; from then on the lab lives without the caller.

    When the caller is ended before, so is the lab. `progress` is told ``{"step", "done", "of"}``.

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
                box.channel.send(STAY)
                return message
            progress(message)
    except ChannelClosed as error:
        raise MeshnetError(f"lab {plan.name!r}: its supervisor ended before everything was up: {error}") from error
    except BaseException:
        box.channel.close()
        end(box.record, records)
        raise
    finally:
        box.channel.close()


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
    deadline = time.monotonic() + END_TIMEOUT_S
    if not poll.poll((deadline - time.monotonic()) * 1000):
        raise MeshnetError(
            f"lab {record.name!r}: process {record.pid} is still there {END_TIMEOUT_S:g} s after SIGKILL"
        )
