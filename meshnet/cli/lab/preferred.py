"""The driver that ``--driver`` names: what it is set for, and which links it cannot make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.driver.api import Scope
from meshnet.driver.registry import Registry, setting_of, words_of
from meshnet.errors import LinkError, UsageError
from meshnet.model.topology import LOCALHOST, PodKey

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from meshnet.driver.registry import Entry


def preferred(name: str) -> Entry:
    """Return the installed driver of that name. Raises UsageError, which says why where it is broken."""
    try:
        return Registry.load().get(name)
    except LinkError as error:
        raise UsageError(f"--driver {name}: {error}") from error


def settings_for(entry: Entry) -> dict[str, str]:
    """Return the settings that make it the driver of links that name none, where it can make them."""
    return {setting_of(scope): entry.name for scope in entry.driver.scopes}


def notes_for(entry: Entry, topologies: Iterable[Mapping[str, Any]], placement: Mapping[PodKey, str]) -> Iterator[str]:
    """Yield a sentence for each kind of link that names no driver and that this one cannot make.

    Args:
        entry: the driver.
        topologies: valid documents, each with its namespace.
        placement: node by (namespace, pod).
    """
    kinds = set(_kinds(topologies, placement))
    for scope in Scope:
        if scope in kinds and scope not in entry.driver.scopes:
            yield f"--driver {entry.name}: makes no links of kind {words_of(scope)}: those get the default driver"


def _kinds(topologies: Iterable[Mapping[str, Any]], placement: Mapping[PodKey, str]) -> Iterator[Scope]:
    """Yield the kind of each link that names no driver, at neither end, and whose pods both run."""
    entries = [(each["metadata"], link) for each in topologies for link in (each.get("spec") or {}).get("links") or ()]
    named = {_link(metadata, link) for metadata, link in entries if link.get("driver")}
    for metadata, link in entries:
        here, there = (placement.get((metadata["namespace"], pod)) for pod in (metadata["name"], link["peer_pod"]))
        if here is None or _link(metadata, link) in named:
            continue
        if link["peer_pod"] == LOCALHOST:
            yield Scope.EXTERNAL
        elif there is not None:
            yield Scope.SAME_NODE if here == there else Scope.BETWEEN_NODES


def _link(metadata: Mapping[str, Any], link: Mapping[str, Any]) -> tuple[object, ...]:
    """What identifies a link, seen from either end."""
    ends = frozenset(((metadata["name"], link["local_intf"]), (link["peer_pod"], link["peer_intf"])))
    return metadata["namespace"], link["uid"], ends
