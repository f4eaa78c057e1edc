"""What a driver may return from each method: for a wrong result, the words for what would be right."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from meshnet.driver.api import Attachment, Device, Interface, Owned, Port, Socket
from meshnet.driver.link import GSO_LEGACY_MAX_SIZE, GSO_MAX_SIZE
from meshnet.model.topology import Endpoint

if TYPE_CHECKING:
    from meshnet.driver.api import LinkDriver

OFFER_LIMIT = 64 << 10
"""Bytes of an offer as JSON: many travel in one message, and one that does not fit would end the session."""
_LAST_INDEX = (1 << 31) - 1
"""The largest interface index of the kernel."""


def what_is_right(driver: LinkDriver, method: str, args: tuple[Any, ...], result: object) -> str | None:
    """Return what a method should have returned instead, or None when it did."""
    check = _CHECKS.get(method)
    return None if check is None else check(driver, args, result)


def _splice(driver: LinkDriver, args: tuple[Any, ...], result: object) -> str | None:
    if driver.attachment is Attachment.DIRECT:
        if not isinstance(result, Interface):
            return "an Interface, as its attachment is DIRECT"
    elif not isinstance(result, Port | Device | Socket):
        return "a Port, a Device or a Socket, as its attachment is PORT"
    own = getattr(args[0], "port", None)
    if own is not None and isinstance(result, Port | Device) and result.ifindex == own.ifindex:
        return "where the frames of that port go; this is the port itself"
    return _fields(result)


def _fields(splice: object) -> str | None:
    """Say what the fields of a splice should be, which its class does not see to; None when they are."""
    if isinstance(splice, Socket):
        size = splice.gso_ipv4_max_size
        fine = type(size) is int and GSO_LEGACY_MAX_SIZE <= size <= GSO_MAX_SIZE
        return None if fine else f"a Socket whose gso_ipv4_max_size is {GSO_LEGACY_MAX_SIZE} to {GSO_MAX_SIZE} bytes"
    if isinstance(splice, Port) and not (isinstance(splice.endpoint, Endpoint) and isinstance(splice.name, str)):
        return "a Port of an Endpoint, an interface index and a name, as peer.port is"
    if isinstance(splice, Port | Device | Interface):
        fine = type(splice.ifindex) is int and 0 < splice.ifindex <= _LAST_INDEX
        kind = "an Interface" if isinstance(splice, Interface) else f"a {type(splice).__name__}"
        return None if fine else f"{kind} whose ifindex is an interface index, 1 to {_LAST_INDEX}"
    return "a splice"


def _offer(_driver: LinkDriver, _args: tuple[Any, ...], result: object) -> str | None:
    right = f"a mapping of JSON types, of at most {OFFER_LIMIT} bytes"
    if not isinstance(result, Mapping):
        return right
    try:
        fits = len(json.dumps(dict(result), allow_nan=False)) <= OFFER_LIMIT
    except (TypeError, ValueError, RecursionError):
        return right
    return None if fits else right


def _owned(_driver: LinkDriver, _args: tuple[Any, ...], result: object) -> str | None:
    fine = isinstance(result, Sequence) and all(isinstance(item, Owned) and _is_whole(item) for item in result)
    right = "each of an Endpoint or None, with a splice that can be hashed and what it is in words"
    return None if fine else f"a sequence of Owned, {right}"


def _is_whole(owned: Owned) -> bool:
    """Whether it is made of what it says, which its class does not see to."""
    of_somebody = isinstance(owned.endpoint, Endpoint | None)
    whole = of_somebody and isinstance(owned.what, str) and _fields(owned.splice) is None
    return whole and _has_hash(owned.splice)


def _has_hash(splice: object) -> bool:
    """Whether it can be looked up among what other drivers tell of; a subclass may have added what cannot."""
    try:
        hash(splice)
    except TypeError:
        return False
    return True


def _counters(_driver: LinkDriver, _args: tuple[Any, ...], result: object) -> str | None:
    fine = isinstance(result, Mapping) and all(isinstance(k, str) and type(v) is int for k, v in result.items())
    return None if fine else "a mapping of names to whole numbers"


_CHECKS: Mapping[str, Callable[[LinkDriver, tuple[Any, ...], object], str | None]] = {
    "patch": _splice,
    "offer": _offer,
    "node_offer": _offer,
    "inspect": _owned,
    "counters": _counters,
}
