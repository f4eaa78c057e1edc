"""What the daemon asks of its own process."""

from __future__ import annotations

import logging
import os
import resource

log = logging.getLogger(__name__)

NICE = -20
"""A frame that a driver carries in the daemon waits for a processor several times on its way, where the kernel's own
frames go on at once. Beside a full wire it goes a fifth faster so, and so does the full wire."""


def go_first() -> None:
    """Have the calling thread, and those that it starts, go before other processes, unless it was told otherwise.

    Where that is not allowed, as in most containers, it is left: there a container's share of the processors decides.
    """
    if os.getpriority(os.PRIO_PROCESS, 0) != 0:
        return
    try:
        os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except PermissionError:
        log.debug("not allowed to go before other processes")


def raise_descriptor_limit() -> None:
    """Allow this process as many open descriptors as it may allow itself.

    Login shells and service managers start a process with 1024: too few for a socket a wire and a call.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == hard:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError) as error:
        log.warning("the limit of open descriptors stays at %d: %s", soft, error)
