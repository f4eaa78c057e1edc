"""The messages of a peer session: JSON, of which unknown fields are ignored, and to which fields are only added.

==========================================================  ========================================================
``{"hello": {"node": …, "protocol": [min, max], …}}``       first message of either side
``{"ends": [[namespace, pod, interface, {…} or null], …]}`` the state of ends; null: there is no such end any more
``… "whole": true``                                         these are all ends; what is not told is not there
``… "more": true``                                          the next message goes on with the same
``{}``                                                      a sign of life
==========================================================  ========================================================
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.model.session import PROTOCOL, EndState
from meshnet.model.topology import Endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_MESSAGE = 1 << 20
"""Bytes of one message."""

SIGN_OF_LIFE = b"{}"
_NEWEST = 1 << 16
"""A version of the protocol will not be; else one might be thousands of digits long."""
_FULL = 64 << 10
"""Bytes of ends after which the next message goes on; an end's own, with what its driver offers, are hardly more."""
_JSON = json.JSONEncoder(separators=(",", ":"))


@attrs.frozen
class Hello:
    """Who speaks.

    Attributes:
        node: its name.
        protocol: the oldest and the newest version that it speaks.
        release: of its daemon.
    """

    node: str
    protocol: tuple[int, int] = PROTOCOL
    release: str = ""


@attrs.frozen
class Told:
    """What one message tells of ends.

    Attributes:
        states: by end; None for one that is not there any more.
        whole: these are all that there are, together with the messages of which this is the last.
        more: the next message goes on with the same.
    """

    states: Mapping[Endpoint, EndState | None] = attrs.field(factory=dict)
    whole: bool = False
    more: bool = False


def encode_hello(hello: Hello) -> bytes:
    return _pack({"hello": {"node": hello.node, "protocol": list(hello.protocol), "release": hello.release}})


def decode_hello(raw: bytes) -> Hello:
    """Return a hello. Raises ValueError when it is none."""
    hello: Any = _unpack(raw).get("hello")
    match hello:
        case {"node": str(node), "protocol": [int(oldest), int(newest), *_]} if 0 <= oldest <= newest <= _NEWEST:
            release = hello.get("release")
            return Hello(node, (oldest, newest), release if isinstance(release, str) else "")
    raise ValueError("no hello")


def agree(ours: tuple[int, int], theirs: tuple[int, int]) -> int | None:
    """Return the newest version that both speak, if there is one."""
    newest = min(ours[1], theirs[1])
    return newest if newest >= max(ours[0], theirs[0]) else None


def encode_ends(states: Mapping[Endpoint, EndState | None], *, whole: bool) -> Iterator[bytes]:
    """Yield the messages that tell of ends, each small enough; at least one for a whole."""
    rows: list[str] = []
    size = 0
    for endpoint, state in states.items():
        row = _JSON.encode(_row(endpoint, state))
        if rows and size + len(row) > _FULL:
            yield _ends(rows, whole=whole, more=True)
            rows, size = [], 0
        rows.append(row)
        size += len(row)
    if rows or whole:
        yield _ends(rows, whole=whole, more=False)


def _ends(rows: list[str], *, whole: bool, more: bool) -> bytes:
    flags = "".join(f',"{flag}":true' for flag, on in (("whole", whole), ("more", more)) if on)
    return f'{{"ends":[{",".join(rows)}]{flags}}}'.encode()


def decode_told(raw: bytes) -> Told:
    """Return what a message tells of ends; a sign of life tells nothing. Raises ValueError when it is no message."""
    message = _unpack(raw)
    rows = message.get("ends", [])
    if not isinstance(rows, list):
        raise ValueError(f"ends: {type(rows).__name__}")
    return Told(dict(map(_end, rows)), message.get("whole") is True, message.get("more") is True)


def _row(endpoint: Endpoint, state: EndState | None) -> list[Any]:
    return [*_place(endpoint), None if state is None else _state(state)]


def _place(endpoint: Endpoint) -> list[str]:
    return [endpoint.namespace, endpoint.pod, endpoint.interface]


def _state(state: EndState) -> dict[str, Any]:
    return {
        "epoch": state.epoch,
        "driver": state.driver,
        "patched": None if state.patched is None else _place(state.patched),
        "patched_epoch": state.patched_epoch,
        "up": state.up,
        "reason": state.reason,
        "receive_id": state.receive_id,
        "offer": dict(state.offer),
    }


def _end(row: Any) -> tuple[Endpoint, EndState | None]:
    match row:
        case [str(namespace), str(pod), str(interface), None, *_]:
            return Endpoint(namespace, pod, interface), None
        case [str(namespace), str(pod), str(interface), dict(state), *_]:
            return Endpoint(namespace, pod, interface), _read_state(state)
    raise ValueError("ends: neither a state nor null")


def _read_state(state: dict[str, Any]) -> EndState:
    if "epoch" not in state:
        raise ValueError("an end without its epoch")
    return EndState(
        epoch=_typed(state, "epoch", 0),
        driver=_typed(state, "driver", ""),
        patched=_patched(state.get("patched")),
        patched_epoch=_typed(state, "patched_epoch", 0),
        up=_typed(state, "up", False),
        reason=_typed(state, "reason", ""),
        receive_id=_receive_id(state),
        offer=_typed(state, "offer", {}),
    )


def _receive_id(state: dict[str, Any]) -> int:
    number: int = _typed(state, "receive_id", 0)
    if not 0 <= number < 1 << 24:
        raise ValueError("receive_id: not 24 bits")
    return number


def _patched(place: Any) -> Endpoint | None:
    match place:
        case None:
            return None
        case [str(namespace), str(pod), str(interface)]:
            return Endpoint(namespace, pod, interface)
    raise ValueError("patched: no endpoint")


def _typed(state: dict[str, Any], field: str, default: Any) -> Any:
    value = state.get(field, default)
    if type(value) is not type(default):
        raise ValueError(f"{field}: {type(value).__name__}")
    return value


def _pack(message: dict[str, Any]) -> bytes:
    return _JSON.encode(message).encode()


def _unpack(raw: bytes) -> dict[str, Any]:
    try:
        message = json.loads(raw)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(message, dict):
        raise ValueError("no object")
    return message
