"""Our network list, made from another: what is kept, what is added, and who calls meshnet already."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from meshnet.cni.install.names import LIST, PLUGIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from meshnet.cni.install.lists import NetworkList

ENTRY = {"name": PLUGIN, "type": PLUGIN, "ipam": {}, "dns": {}}
"""Upstream's entry, to the letter: scripts look for it."""


def merged(source: NetworkList, current: NetworkList | None) -> bytes:
    """The content of our list: `source` with every key as it is, and meshnet once, after its plugins.

    What stands after meshnet in our `current` list was appended there by others (a service mesh does that), and stays,
    unless `source` has it itself by now.
    """
    known = {PLUGIN, *(plugin["type"] for plugin in source.plugins)}
    added = [plugin for plugin in _after_ours(current) if plugin["type"] not in known]
    ours = [] if is_chained(source) else [ENTRY]
    document = {**source.document, "plugins": [*source.plugins, *ours, *added]}
    return json.dumps(document, indent=2).encode() + b"\n"


def is_chained(found: NetworkList) -> bool:
    """Whether one of its plugins is meshnet."""
    return any(plugin["type"] == PLUGIN for plugin in found.plugins)


def delegates_to_meshnet(found: NetworkList) -> bool:
    """Whether a plugin of it calls meshnet by itself: by a configuration inside its own."""
    inner = (value for plugin in found.plugins for value in _inside(list(plugin.values())))
    return any(isinstance(value, dict) and value.get("type") == PLUGIN for value in inner)


def refers_to_our_list(found: NetworkList) -> bool:
    """Whether it names our list's file, as a delegating plugin does that took ours for its primary network."""
    return any(isinstance(value, str) and value.rpartition("/")[2] == LIST for value in _inside(found.document))


def _after_ours(current: NetworkList | None) -> Sequence[dict[str, Any]]:
    if current is None or not is_chained(current):
        return ()
    types = [plugin["type"] for plugin in current.plugins]
    return current.plugins[types.index(PLUGIN) + 1 :]


def _inside(value: object) -> Iterator[object]:
    """Every value in a decoded document, itself first; how deep one may be, `lists` has checked."""
    yield value
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for child in children:
        yield from _inside(child)
