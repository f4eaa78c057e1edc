"""What the directory of network lists should be, decided from one look at it; nothing is written here."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from meshnet.cni.install.lists import list_files, read_list, read_text
from meshnet.cni.install.merge import delegates_to_meshnet, is_chained, merged, refers_to_our_list
from meshnet.cni.install.names import LIST, OLD_CONFIG, OLD_LINK_TYPE, PLUGIN
from meshnet.errors import InvalidObject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from meshnet.cni.install.lists import NetworkList


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done in the directory.

    Attributes:
        source: name of the list that ours is made from; ``""`` when there is none.
        content: what our list shall hold; None: it stays as it is, also absent.
        chained: whether `source` calls meshnet itself, so that no list of ours is needed.
        remove: names of files to remove, after our list is in place.
        problem: why pods are not wired, or not by the newest list; ``""`` when all is well.
        remarks: what a user should know, though it works.
    """

    source: str = ""
    content: bytes | None = None
    chained: bool = False
    remove: tuple[str, ...] = ()
    problem: str = ""
    remarks: tuple[str, ...] = ()


def plan(directory: Path) -> Plan:
    """Look at `directory` and decide.

    The first list is what a runtime would use, so one that cannot be read is not passed over: who takes the next one
    then may put pods into the wrong network. Raises OSError when the directory itself cannot be read.
    """
    old = leftovers(directory)
    others = [name for name in list_files(directory) if name != LIST and name not in old]
    current = _current(directory)
    try:
        passed, source = _followed(directory, others, ours=current is not None)
    except (InvalidObject, OSError) as error:
        told = str(error) if isinstance(error, InvalidObject) else f"{error.filename}: {error.strerror}"
        return Plan(problem=f"{told}; it is the first network list: until it can be read, nothing is changed")
    remarks = (*map(_remark, passed), *_word_of(directory))
    if source is None:
        return Plan(problem=_nothing_to_follow(directory, current), remarks=remarks)
    name = source.path.name
    if not passed and (is_chained(source) or delegates_to_meshnet(source)):
        return Plan(name, chained=True, remove=(*old, LIST), remarks=remarks)
    problem = "" if passed else _hidden(directory, name)  # a runtime takes the first of those, which leads to ours
    return Plan(name, merged(source, current), remove=old, problem=problem, remarks=remarks)


def leftovers(directory: Path) -> tuple[str, ...]:
    """Names of what upstream's versions left. A file of the old name that calls something else is somebody's own.

    Raises OSError, with the file that cannot be read.
    """
    found = [OLD_LINK_TYPE] if os.path.lexists(directory / OLD_LINK_TYPE) else []
    try:
        text = read_text(directory / OLD_CONFIG)
    except (FileNotFoundError, InvalidObject):
        return tuple(found)
    # its JSON may be broken: that version wrote no delegate where it found a list
    if f'"type":"{PLUGIN}"'.encode() in b"".join(text.split()):
        found.append(OLD_CONFIG)
    return tuple(found)


def _followed(directory: Path, names: Sequence[str], *, ours: bool) -> tuple[list[NetworkList], NetworkList | None]:
    """Lists passed over since they call ours, and the first of the others; None when there is none.

    Following one that calls ours would have it call itself.
    """
    passed: list[NetworkList] = []
    for name in names:
        try:
            one = read_list(directory / name)
        except FileNotFoundError:
            if os.path.lexists(directory / name):
                raise  # a link to nowhere
            continue  # gone since the directory was read
        if is_chained(one) or not (refers_to_our_list(one) or (ours and delegates_to_meshnet(one))):
            return passed, one
        passed.append(one)
    return passed, None


def _current(directory: Path) -> NetworkList | None:
    """Our list as it is; one that is broken counts as none, and is replaced."""
    try:
        return read_list(directory / LIST)
    except (InvalidObject, FileNotFoundError):
        return None


def _word_of(directory: Path) -> list[str]:
    path = directory / OLD_LINK_TYPE
    if not path.is_file():  # there is none, or a link to nowhere
        return []
    value = path.read_text(errors="replace").strip()[:40]
    return [f"{OLD_LINK_TYPE} of an older meshnet says {value!r}; only the setting INTER_NODE_LINK_TYPE counts"]


def _remark(passed: NetworkList) -> str:
    told = f"{passed.path.name} calls meshnet or {LIST} itself, and is not followed"
    return f"{told}: where its plugin delegates to a primary network, name that by its own file"


def _nothing_to_follow(directory: Path, current: NetworkList | None) -> str:
    told = f"{directory}: no network list there but meshnet's own"
    if current is None:
        return f"{told}: install a primary network; meshnet follows it"
    return f"{told}: {LIST} stays as it is until there is one"


def _hidden(directory: Path, first: str) -> str:
    if os.fsencode(first) > os.fsencode(LIST):
        return ""
    told = f"{directory}/{first} sorts before {LIST}, so that a runtime takes it, without meshnet"
    return f"{told}: rename it to 10-{first.lstrip('0123456789-._')}"
