"""Installing meshnet on a node, and taking it away again."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from meshnet.cni.install.lists import list_files, read_list, read_text
from meshnet.cni.install.merge import delegates_to_meshnet, is_chained, refers_to_our_list
from meshnet.cni.install.names import LIST, PLUGIN
from meshnet.cni.install.place import InstallError, place, take_away
from meshnet.cni.install.plan import Plan, leftovers, plan
from meshnet.cni.plugin import plugin_command
from meshnet.errors import InvalidObject
from meshnet.presence import exists

if TYPE_CHECKING:
    from pathlib import Path

    from meshnet.cni.install.names import Places

PLUGIN_MODE = 0o755
LIST_MODE = 0o600
"""A network list may hold credentials of its plugins."""
OUR_MARK = b"/run/meshnet/meshnetd.sock"
"""Stands in every plugin of ours, compiled or not, and in no other."""
MOVED_AWAY = (".cilium_bak", ".old")
"""What other networks rename lists to that they do not want; ours are ours under that name too."""


@dataclass(frozen=True, slots=True)
class Done:
    """What was done.

    Attributes:
        changed: what, a line each; empty when everything was so already.
        plan: what was decided of the network lists.
        kept: what stayed though one might expect it gone, a line each.
        wrote: what of plugin and list was written.
    """

    changed: tuple[str, ...]
    plan: Plan = field(default_factory=Plan)
    kept: tuple[str, ...] = ()
    wrote: tuple[Path, ...] = ()


def install(places: Places) -> Done:
    """Put plugin and list in place; what is right already is not touched, nor what others put there.

    The plugin comes first, so that no list names a plugin that is not there, and leftovers go last, so that at every
    moment a runtime finds a whole list. Blocks for a disk.

    Raises:
        InstallError: a directory or file cannot be read or written; what comes after it was not tried.
        MeshnetError: this installation of meshnet has no plugin.
    """
    changed, wrote = [], []
    if place(places.plugin, plugin_command().read_bytes(), PLUGIN_MODE):
        wrote.append(places.plugin)
        changed.append(f"{places.plugin} written")
    decided = decide(places)
    if decided.content is not None and place(places.list, decided.content, LIST_MODE):
        wrote.append(places.list)
        changed.append(f"{places.list} written: meshnet after {decided.source}")
    changed += [f"{places.conf_dir / name} removed" for name in decided.remove if take_away(places.conf_dir / name)]
    return Done(tuple(changed), decided, wrote=tuple(wrote))


def decide(places: Places) -> Plan:
    """What `install` would do with the network lists. Raises InstallError when their directory cannot be read."""
    try:
        return plan(places.conf_dir)
    except FileNotFoundError:
        right = "the directory that the container runtime reads network lists from"
        raise InstallError(f"{places.conf_dir}: is not there: {right}") from None
    except OSError as error:
        raise _unreadable(places.conf_dir, error) from error


def uninstall(places: Places) -> Done:
    """Remove what is ours: first the lists, so that no pod is started with a plugin that is going, then the plugin.

    Running pods keep their interfaces. Twice is fine. Raises InstallError.
    """
    changed, kept = [], []
    for path in [*_leftovers(places), places.list, *(places.conf_dir / (LIST + suffix) for suffix in MOVED_AWAY)]:
        if path == places.list and (why := _why_it_stays(path) or _needed(places)):
            kept.append(why)
        elif take_away(path):
            changed.append(f"{path} removed")
    callers = _callers(places)
    kept += [why for path, why in callers.items() if path != places.list]
    if _is_there(places.plugin) and not is_our_plugin(places):
        kept.append(f"{places.plugin} stays: it is another program")
    elif not callers and take_away(places.plugin):
        changed.append(f"{places.plugin} removed")
    return Done(tuple(changed), kept=tuple(kept))


def _is_there(path: Path) -> bool:
    """Whether something is there, behind links, too. Raises InstallError."""
    try:
        return exists(path)
    except OSError as error:
        raise _unreadable(path, error) from error


def is_our_plugin(places: Places) -> bool:
    """Whether the program there is meshnet's, of any version. Raises InstallError."""
    try:
        return OUR_MARK in places.plugin.read_bytes()
    except OSError as error:
        raise _unreadable(places.plugin, error) from error


def _unreadable(path: Path, error: OSError) -> InstallError:
    """Say what cannot be read: of a directory it may be a file in it."""
    return InstallError(f"{error.filename or path}: cannot be read: {error.strerror}")


def _leftovers(places: Places) -> list[Path]:
    try:
        return [places.conf_dir / name for name in leftovers(places.conf_dir)]
    except OSError as error:
        raise _unreadable(places.conf_dir, error) from error


def _why_it_stays(path: Path) -> str:
    """Why a list of our name is not removed: it is whole, and somebody else's, or may be; ``""`` for ours."""
    try:
        return "" if is_chained(read_list(path)) else f"{path} stays: meshnet is not in it"
    except (InvalidObject, FileNotFoundError):
        return ""
    except OSError as error:
        return _unread(path, error)


def _needed(places: Places) -> str:
    """Why our own list stays: no pod could start with one that refers to it; ``""`` where none does."""
    for path in _lists(places) if exists(places.list) else ():
        with contextlib.suppress(InvalidObject, OSError):
            if refers_to_our_list(read_list(path)):
                return f"{places.list} stays: {path.name} refers to it"
    return ""


def _callers(places: Places) -> dict[Path, str]:
    """Lists that call meshnet, as ours that a daemon has put back, or may call it, and what is to be done about each.

    Without the plugin no pod could start with them. Raises InstallError.
    """
    return {path: why for path in _lists(places) if (why := _call(path))}


def _lists(places: Places) -> list[Path]:
    """Every network list, in a runtime's order. Raises InstallError."""
    try:
        return [places.conf_dir / name for name in list_files(places.conf_dir)]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(places.conf_dir, error) from error


def _call(path: Path) -> str:
    """What is to be done about a list that calls meshnet, or may; ``""`` for one that does not."""
    try:
        one = read_list(path)
    except InvalidObject as error:
        return f"{error}; it names meshnet: put it right or remove it, then again" if _names_meshnet(path) else ""
    except FileNotFoundError:
        return ""  # gone meanwhile, or a link to nowhere
    except OSError as error:
        return _unread(path, error)
    calls = is_chained(one) or delegates_to_meshnet(one) or refers_to_our_list(one)
    return f"{path} calls meshnet: take it out there, then again" if calls else ""


def _names_meshnet(path: Path) -> bool:
    """Whether a list that is wrong, perhaps only of a version that we do not know, has our plugin's name in it."""
    try:
        return PLUGIN.encode() in read_text(path)
    except InvalidObject:
        return False
    except OSError:
        return True  # it was there a moment ago: nobody knows


def _unread(path: Path, error: OSError) -> str:
    return f"{path}: cannot be read: {error.strerror}; it may call meshnet: put that right, then again"
