"""The CNI plugin as a program: one file that a runtime can execute."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from meshnet.errors import MeshnetError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = Path(__file__).parent
PROGRAM = _HERE / "bin" / "meshnet"
FRONT = _HERE / "front.py"
SHEBANG_LIMIT = 120
"""Bytes of a first line that every kernel takes; older ones cut it at 128."""


def plugin_command() -> Path:
    """The plugin: the compiled one if this installation has it, else a script around the Python front.

    The script is written if it is missing or another, next to the package or, where that is read-only, into the
    user's own cache directory. Either file may be copied elsewhere; the script needs this Python where it is.

    Raises:
        MeshnetError: there is no directory to write the script to; names them and why.
    """
    if os.access(PROGRAM, os.X_OK):
        return PROGRAM
    script = front_script().encode(errors="surrogateescape")  # a path that the locale has no letters for
    refused = []
    for directory in _places():
        path = directory / "meshnet-front"
        try:
            _write_if_other(path, script)
        except OSError as error:
            refused.append(f"{path}: {error.strerror}")
        else:
            return path
    raise MeshnetError("CNI plugin: cannot write the script: " + "; ".join(refused))


def front_script(python: str = sys.executable) -> str:
    """The Python front with a first line that starts it by `python`, without site packages."""
    if any(letter.isspace() for letter in python) or len(os.fsencode(python)) > SHEBANG_LIMIT:
        quoted = "'" + python.replace("'", "'\"'\"'") + "'"
        first = f"#!/bin/sh\n''':'\nexec {quoted} -I -S \"$0\"\n'''\n"  # for sh three commands, for Python a string
    else:
        first = f"#!{python} -IS\n"
    return first + FRONT.read_text(encoding="utf-8")


def _places() -> Iterator[Path]:
    yield PROGRAM.parent
    yield _cache_dir()  # asked for only then: a container's user may have no home


def _cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "meshnet"
    try:
        return Path.home() / ".cache" / "meshnet"
    except RuntimeError as error:
        raise MeshnetError("no home directory is known: set HOME or XDG_CACHE_HOME") from error


def _write_if_other(path: Path, content: bytes) -> None:
    if path.is_file() and os.access(path, os.X_OK) and path.read_bytes() == content:
        return
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.write_bytes(content)
        fresh.chmod(0o755)
        fresh.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
