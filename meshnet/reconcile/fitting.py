"""A status that has room in its object: of thousands of links each tells less, so that all are told of.

A status that no store takes would keep its pod from starting, for ADD writes it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.model.objectsize import KEPT_FREE_BYTES, MAX_OBJECT_BYTES, bytes_kept

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from meshnet.model.resource import Resource

CUT = "…"
"""Ends a text that was cut; alone it stands for one that was left out."""

_TEXTS = ("message", "why")
_LONGEST_TEXTS = (200, 60)
"""Characters of each of a link's texts, where there is no room for them whole; then they go, and more with them."""
_LEAST = ("local_intf", "uid", "state", "reason", "receive_id")
"""What stays of a link in any case: how it is, and what peers need. `spec` has its peer, the peer's status its node."""
_LONGEST_READY = 1000
_NOTES_OF_A_LINK = 128
"""Bytes of what the API server notes of who wrote the fields of one (104 for the four that each has). It drops all its
notes where they have no room, and then no apply knows any more which fields it had set.
"""


def fitting(wanted: Mapping[str, Any], resource: Resource) -> Mapping[str, Any]:
    """Return a status as there is room for it beside the rest of its object; what is left out, Ready's message tells.

    Of one that has no room at all, since its `spec` takes too much, what must be said is returned.
    """
    stays = {field: value for field, value in resource.status.items() if field not in wanted}
    room = MAX_OBJECT_BYTES - KEPT_FREE_BYTES - bytes_kept({**resource.document, "status": stays})
    room -= _NOTES_OF_A_LINK * len(wanted["links"])
    if bytes_kept(wanted) <= room:
        return wanted
    for links, left_out in _shorter(wanted["links"]):
        status = {**wanted, "links": links, "conditions": _telling(wanted["conditions"], left_out)}
        if bytes_kept(status) <= room:
            break
    return status


def same_text(one: str, other: str) -> bool:
    """Tell whether two texts are the same, as far as one that was cut still tells."""
    short, long = sorted((one, other), key=len)
    return one == other or (short.endswith(CUT) and long.startswith(short.removesuffix(CUT)))


def _shorter(links: Sequence[Mapping[str, Any]]) -> Iterator[tuple[list[dict[str, Any]], str]]:
    """Yield the links with less and less of each, and what is left out."""
    for longest in _LONGEST_TEXTS:
        cut = [{**link, **{field: _cut(link[field], longest) for field in _TEXTS}} for link in links]
        yield cut, f"what links say beyond {longest} characters"
    yield [{field: link[field] for field in _LEAST if field in link} for link in links], "what links say but reasons"


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - len(CUT)] + CUT


def _telling(conditions: Sequence[Mapping[str, Any]], left_out: str) -> list[Mapping[str, Any]]:
    ready, *others = conditions
    message = _cut(ready["message"], _LONGEST_READY)
    if ready["reason"] != "InvalidTopology":  # which matters more, and may be why there is no room
        message += f"; {left_out}, is left out of status: the object may not be larger than {MAX_OBJECT_BYTES} bytes"
    return [{**ready, "message": message}, *others]
