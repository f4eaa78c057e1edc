"""How meshnet is installed on a node, seen from its directories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshnet.cni.install.node import LIST_MODE, PLUGIN_MODE, decide, is_our_plugin
from meshnet.cni.install.place import InstallError, is_there
from meshnet.cni.plugin import plugin_command
from meshnet.errors import MeshnetError
from meshnet.presence import exists

if TYPE_CHECKING:
    from meshnet.cni.install.names import Places
    from meshnet.cni.install.plan import Plan

INSTALLED, CHAINED, MISSING, OUTDATED, FAILED = "installed", "chained", "missing", "outdated", "failed"
BAD = (MISSING, OUTDATED, FAILED)
"""States in which pods of the node are not wired as they should be."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an installation.

    Attributes:
        part: ``plugin``, ``list``, ``daemon``.
        state: ``installed``, ``chained`` (by a list of somebody else's), one of `BAD`, or a word that needs no action.
        path: where it belongs.
        message: more of it; what to do where something is wrong.
    """

    part: str
    state: str
    path: str
    message: str = ""


def inspect(places: Places) -> list[Part]:
    """The plugin, the network list, and what a user should know of them. Never raises for what is found."""
    return [_plugin(places), *_lists(places)]


def _plugin(places: Places) -> Part:
    path = str(places.plugin)
    try:
        if is_there(places.plugin, plugin_command().read_bytes(), PLUGIN_MODE):
            return Part("plugin", INSTALLED, path, "of this version")
        if not exists(places.plugin):
            return Part("plugin", MISSING, path, "meshnet cni install places it")
        if is_our_plugin(places):
            return Part(
                "plugin", OUTDATED, path, "of another version than this command; meshnet cni install replaces it"
            )
        return Part("plugin", FAILED, path, "another program of the same name; meshnet cni install replaces it")
    except (MeshnetError, OSError) as error:  # this command may have no plugin to compare with
        return Part("plugin", FAILED, path, str(error))


def _lists(places: Places) -> list[Part]:
    try:
        decided = decide(places)
        found = _list(places, decided)
    except (InstallError, OSError) as error:
        return [Part("list", FAILED, str(places.list), str(error))]
    return [found, *(Part("list", "remark", str(places.conf_dir), remark) for remark in decided.remarks)]


def _list(places: Places, decided: Plan) -> Part:
    path = str(places.list)
    if decided.problem:
        return Part("list", FAILED, path, decided.problem)
    if decided.chained:
        return Part("list", CHAINED, str(places.conf_dir / decided.source), "calls meshnet itself; nothing is added")
    assert decided.content is not None
    if is_there(places.list, decided.content, LIST_MODE):
        return Part("list", INSTALLED, path, f"meshnet after {decided.source}")
    if exists(places.list):
        return Part("list", OUTDATED, path, f"{decided.source} has changed; meshnet cni install merges it again")
    return Part("list", MISSING, path, f"meshnet cni install makes it from {decided.source}")
