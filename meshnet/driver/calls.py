"""Calling a driver: bounded in time, and whatever it does wrong becomes a reason for the link's status."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import TYPE_CHECKING, Any

from meshnet.driver import told
from meshnet.driver.api import Rebuild
from meshnet.driver.results import what_is_right
from meshnet.errors import LinkError

if TYPE_CHECKING:
    from meshnet.driver.api import LinkDriver, Underlay

log = logging.getLogger(__name__)

TIMED_OUT = "DriverTimeout"
FAILED = "DriverFailed"
_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,62}", re.ASCII)
GRACE_S = 0.5
"""How long a driver that was cancelled may take to tidy up before core goes on without it."""


class Hangs(LinkError):  # noqa: N818 - as RestartPod: what is so
    """A call that took too long and goes on, in spite of its cancellation."""


async def call(driver: LinkDriver, method: str, *args: Any, limit_s: float) -> Any:
    """Call ``driver.method(*args)`` and return its checked result.

    Raises LinkError: the driver's own, its message one printable line; ``DriverTimeout`` after `limit_s` seconds (the
    call is cancelled; `Hangs` when it goes on all the same); and ``DriverFailed`` for any other exception and for a
    result of a wrong type. `Rebuild` passes through.
    """
    task = asyncio.create_task(_guarded(driver, method, args), name=f"driver {driver.name}: {method}")
    try:
        await asyncio.sleep(0)  # most have nothing to wait for, and then neither has the call
        if not task.done():
            await asyncio.wait({task}, timeout=limit_s)
    except asyncio.CancelledError:
        await _abandon(task)
        raise
    if task.done():
        try:
            return task.result()
        except asyncio.CancelledError as error:  # by the driver: core has not cancelled it
            raise failed(driver, error) from error
    ended = await _abandon(task)
    late = f"driver {driver.name}: {method} took longer than {limit_s:g} s"
    if ended:
        raise LinkError(TIMED_OUT, late)
    raise Hangs(TIMED_OUT, f"{late}, and ignores that it was cancelled")


def mtu_limit(driver: LinkDriver, underlay: Underlay) -> int | None:
    """Return the driver's MTU limit over `underlay` in bytes, None for none. Raises LinkError ``DriverFailed``."""
    try:
        limit = driver.mtu_limit(underlay)
    except BaseException as error:
        raise failed(driver, error) from error
    if limit is not None and (type(limit) is not int or limit <= 0):
        raise _wrong(driver, "mtu_limit", limit, "a positive number of bytes, or None")
    return limit


def path_reason(driver: str, reason: object) -> str:
    """Return the reason that a driver gives by `DriverContext.changed`; for what is none, ``DriverFailed``."""
    if isinstance(reason, str) and (not reason or is_reason(reason)):
        return "".join(reason)
    log.warning("driver %s: changed to %s; right would be one CamelCase word, or ''", driver, told.shown(reason))
    return FAILED


async def _abandon(task: asyncio.Future[Any]) -> bool:
    """Cancel a call and give it a moment; tell whether it ended. Its late result or error is of no interest."""
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=GRACE_S)
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return bool(done)


async def _guarded(driver: LinkDriver, method: str, args: tuple[Any, ...]) -> Any:
    try:
        result = await getattr(driver, method)(*args)
        right = what_is_right(driver, method, args, result)
    except (GeneratorExit, asyncio.CancelledError):
        raise  # the loop's end; `call` knows whose a cancellation is
    except BaseException as error:
        outcome = _outcome(driver, method, error)
        if outcome is error:
            raise
        raise outcome from error
    if right is not None:
        raise _wrong(driver, method, result, right)
    return result


def _outcome(driver: LinkDriver, method: str, error: BaseException) -> BaseException:
    """Return what core goes by when a driver's method raises."""
    if isinstance(error, Rebuild) and method == "patch":
        return error
    return _link_error(driver, error) if isinstance(error, LinkError) else failed(driver, error)


def _link_error(driver: LinkDriver, error: LinkError) -> LinkError:
    """Return a driver's own error, or one that says what is wrong with it: both its parts stand in the status."""
    reason, text = getattr(error, "reason", None), told.said(error)
    raw = error.args[0] if error.args else None
    if not isinstance(reason, str) or not is_reason(reason):
        right = "right would be one CamelCase word, such as ParentMissing"
        more = f" (it said: {text})" if text else ""
        return LinkError(FAILED, f"driver {driver.name}: LinkError with reason {told.shown(reason)}; {right}{more}")
    if not text or raw is None:
        right = "right would be a sentence"
        return LinkError(FAILED, f"driver {driver.name}: LinkError {reason} without a message; {right}")
    if type(reason) is str and type(raw) is str and raw == text:
        return error
    return LinkError("".join(reason), text, retry=bool(getattr(error, "retry", True)))


def is_reason(text: str) -> bool:
    """Tell whether a text can stand as a reason in a status."""
    return _REASON.fullmatch(text) is not None


def failed(driver: LinkDriver, error: BaseException) -> LinkError:
    """Return the ``DriverFailed`` that what a driver raised becomes."""
    return LinkError(FAILED, f"driver {driver.name}: {told.of_error(error)}")


def _wrong(driver: LinkDriver, method: str, result: object, right: str) -> LinkError:
    return LinkError(FAILED, f"driver {driver.name}: {method} returned {told.shown(result)}; right would be {right}")
