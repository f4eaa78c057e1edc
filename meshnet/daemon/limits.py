"""What the daemon asks of its own process."""

from __future__ import annotations

import logging
import resource

log = logging.getLogger(__name__)


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
