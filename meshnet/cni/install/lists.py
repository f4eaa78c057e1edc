"""Network lists in a directory, in the order and with the rules of libcni, which every runtime reads them by."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meshnet.cni.error import CniError
from meshnet.cni.jsontext import decode_object, kind
from meshnet.cni.versions import SUPPORTED
from meshnet.errors import InvalidObject, Problem

if TYPE_CHECKING:
    from pathlib import Path

LIST_SUFFIX = "conflist"
SUFFIXES = (LIST_SUFFIX, "conf", "json")
LONGEST = 1024 * 1024
"""Bytes; real ones are a few hundred."""


@dataclass(frozen=True, slots=True)
class NetworkList:
    """A network list, checked as far as a runtime would.

    Attributes:
        path: the file.
        document: ``{"cniVersion", "name", "plugins"}`` and what else was there; of a single configuration, a list of
            that one.
    """

    path: Path
    document: dict[str, Any]

    @property
    def plugins(self) -> list[dict[str, Any]]:
        """The configurations of its plugins, in order."""
        found: list[dict[str, Any]] = self.document["plugins"]
        return found


def list_files(directory: Path) -> list[str]:
    """Names of the files in `directory` that a runtime takes for network lists, in its order. Raises OSError."""
    with os.scandir(directory) as entries:
        names = [
            entry.name
            for entry in entries
            if entry.name.rpartition(".")[1:] in {(".", suffix) for suffix in SUFFIXES}
            and not entry.is_dir(follow_symlinks=False)
        ]
    return sorted(names, key=os.fsencode)


def read_list(path: Path) -> NetworkList:
    """The list in a file, whatever its form: ``.conflist`` holds a list, ``.conf`` and ``.json`` one configuration.

    Raises:
        InvalidObject: naming the file, the key, its value and what would be right.
        OSError: it cannot be read.
    """
    document = _decode(path)
    if path.name.endswith("." + LIST_SUFFIX):
        problems = _of_list(document)
    else:
        problems = _of_configuration(document)
        named: dict[str, Any] = {key: document[key] for key in ("cniVersion", "name") if key in document}
        document = {**named, "plugins": [document]}
    problems += _of_network(document)
    if problems:
        raise InvalidObject(str(path), problems)
    return NetworkList(path, document)


def read_text(path: Path) -> bytes:
    """The text of a list, whatever it says. Raises InvalidObject when no runtime would read it, OSError."""
    # not blocking: somebody may have put a pipe there
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise InvalidObject(str(path), [Problem("type", None, "a regular file")])
        with open(fd, "rb", closefd=False) as file:
            text = file.read(LONGEST + 1)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error  # of a descriptor it names no file
    finally:
        os.close(fd)
    if len(text) > LONGEST:
        raise InvalidObject(str(path), [Problem("size", None, f"at most {LONGEST} bytes")])
    return text


def _decode(path: Path) -> dict[str, Any]:
    try:
        return decode_object(read_text(path), "it")
    except CniError as error:
        raise InvalidObject(str(path), [Problem("content", None, str(error))]) from None


def _of_list(document: dict[str, Any]) -> list[Problem]:
    plugins = document.get("plugins")
    if not isinstance(plugins, list) or not plugins:
        right = "a list of at least one plugin, written out in this file"
        return [Problem("plugins", plugins, right)]
    return [
        Problem(f"plugins[{index}].type", plugin.get("type") if isinstance(plugin, dict) else plugin, "a plugin's name")
        for index, plugin in enumerate(plugins)
        if not isinstance(plugin, dict) or not _is_text(plugin.get("type"))
    ]


def _of_configuration(document: dict[str, Any]) -> list[Problem]:
    if _is_text(document.get("type")):
        return []
    right = "a plugin's name" + ("; a list belongs into a .conflist file" if "plugins" in document else "")
    return [Problem("type", document.get("type"), right)]


def _of_network(document: dict[str, Any]) -> list[Problem]:
    problems = []
    if not _is_text(document.get("name")):
        problems.append(Problem("name", document.get("name"), "the network's name, a string"))
    version = document.get("cniVersion", "")
    if not isinstance(version, str):
        problems.append(Problem("cniVersion", version, f"a string, not {kind(version)}"))
    elif version and version not in SUPPORTED:
        problems.append(Problem("cniVersion", version, f"meshnet speaks {', '.join(SUPPORTED)}"))
    return problems


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
