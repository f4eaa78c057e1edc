"""Calling a driver: bounded in time, and whatever it does wrong becomes a reason for the link's status."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshnet.driver.api import Attachment, Device, Interface, Owned, Port, Rebuild, Socket
from meshnet.driver.link import GSO_LEGACY_MAX_SIZE, GSO_MAX_SIZE
from meshnet.errors import LinkError, MeshnetError
from meshnet.model.topology import Endpoint

if TYPE_CHECKING:
    from meshnet.driver.api import LinkDriver, Underlay

OFFER_LIMIT = 64 << 10
"""Bytes of an offer as JSON: many travel in one message, and one that does not fit would end the session."""
_SHOWN = 200
TIMED_OUT = "DriverTimeout"
GRACE_S = 0.5
"""How long a driver that was cancelled may take to tidy up before core goes on without it."""


async def call(driver: LinkDriver, method: str, *args: Any, limit_s: float) -> Any:
    """Call ``driver.method(*args)`` and return its checked result.

    Raises LinkError: the driver's own; ``DriverTimeout`` after `limit_s` seconds (the call is cancelled); and
    ``DriverFailed`` for any other exception and for a result of a wrong type. `Rebuild` passes through.
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
        return task.result()
    ended = await _abandon(task)
    still = "" if ended else ", and ignores that it was cancelled"
    raise LinkError(TIMED_OUT, f"driver {driver.name}: {method} took longer than {limit_s:g} s{still}")


def mtu_limit(driver: LinkDriver, underlay: Underlay) -> int | None:
    """Return the driver's MTU limit over `underlay` in bytes, None for none. Raises LinkError ``DriverFailed``."""
    try:
        limit = driver.mtu_limit(underlay)
    except (Exception, SystemExit) as error:
        raise _failed(driver, error) from error
    if limit is not None and (type(limit) is not int or limit <= 0):
        raise _wrong(driver, "mtu_limit", limit, "a positive number of bytes, or None")
    return limit


async def _abandon(task: asyncio.Future[Any]) -> bool:
    """Cancel a call and give it a moment; tell whether it ended. Its late result or error is of no interest."""
    task.cancel()
    done, _ = await asyncio.wait({task}, timeout=GRACE_S)
    task.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
    return bool(done)


async def _guarded(driver: LinkDriver, method: str, args: tuple[Any, ...]) -> Any:
    try:
        result = await getattr(driver, method)(*args)
    except LinkError:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # by core
        raise _failed(driver, error) from error  # it waited for a task of its own that it had cancelled
    except Rebuild as error:
        if method == "patch":
            raise
        raise _failed(driver, error) from error
    except (Exception, SystemExit) as error:
        raise _failed(driver, error) from error
    check = _CHECKS.get(method)
    right = None if check is None else check(driver, result)
    if right is not None:
        raise _wrong(driver, method, result, right)
    return result


def _failed(driver: LinkDriver, error: BaseException) -> LinkError:
    # Our own errors already say what they are; of a stranger's the class is half of what it says.
    told = str(error) if isinstance(error, MeshnetError) else f"{type(error).__name__}: {error}"
    return LinkError("DriverFailed", f"driver {driver.name}: {told}")


def _wrong(driver: LinkDriver, method: str, result: object, right: str) -> LinkError:
    told = f"driver {driver.name}: {method} returned {_shown(result)}; right would be {right}"
    return LinkError("DriverFailed", told)


def _shown(result: object) -> str:
    try:
        shown = repr(result)
    except (RecursionError, ValueError, TypeError):  # it is a stranger's
        shown = type(result).__name__
    return shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"


def _splice(driver: LinkDriver, result: object) -> str | None:
    """Say what `patch` should have returned, or None when it did."""
    if driver.attachment is Attachment.DIRECT:
        return None if isinstance(result, Interface) else "an Interface, as its attachment is DIRECT"
    if isinstance(result, Socket) and not _is_gso_size(result.gso_ipv4_max_size):
        return f"a Socket whose gso_ipv4_max_size is {GSO_LEGACY_MAX_SIZE} to {GSO_MAX_SIZE} bytes"
    if isinstance(result, Port | Device | Socket):
        return None
    return "a Port, a Device or a Socket, as its attachment is PORT"


def _is_gso_size(size: object) -> bool:
    return type(size) is int and GSO_LEGACY_MAX_SIZE <= size <= GSO_MAX_SIZE


def _offer(_: LinkDriver, result: object) -> str | None:
    right = f"a mapping of JSON types, of at most {OFFER_LIMIT} bytes"
    if not isinstance(result, Mapping):
        return right
    try:
        fits = len(json.dumps(dict(result), allow_nan=False)) <= OFFER_LIMIT
    except (TypeError, ValueError, RecursionError):
        return right
    return None if fits else right


def _owned(_: LinkDriver, result: object) -> str | None:
    fine = isinstance(result, Sequence) and all(isinstance(item, Owned) and _is_whole(item) for item in result)
    return None if fine else "a sequence of Owned, each of an Endpoint or None, with a splice"


def _is_whole(owned: Owned) -> bool:
    """Whether it is made of what it says, which its class does not see to."""
    splice = owned.splice
    return isinstance(owned.endpoint, Endpoint | None) and (
        isinstance(splice, Port | Socket) or (isinstance(splice, Device | Interface) and type(splice.ifindex) is int)
    )


def _counters(_: LinkDriver, result: object) -> str | None:
    fine = isinstance(result, Mapping) and all(isinstance(k, str) and type(v) is int for k, v in result.items())
    return None if fine else "a mapping of names to whole numbers"


_CHECKS = {"patch": _splice, "offer": _offer, "node_offer": _offer, "inspect": _owned, "counters": _counters}
