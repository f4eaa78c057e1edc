"""Files that a command line names: YAML or JSON in files, directories, on stdin, behind a URL.

They are the caller's: they must be read before a lab's box is entered.
"""

from __future__ import annotations

import codecs
import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from meshnet.errors import MeshnetError, UsageError
from meshnet.model.printable import printable
from meshnet.presence import is_directory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from meshnet.model.documents import Document

FILE_HELP = "a file, a directory of .yml, .yaml and .json files, an http(s) URL, or - for stdin"
SUFFIXES = (".yml", ".yaml", ".json")


class WrongFiles(MeshnetError):  # noqa: N818 - what is wrong
    """The files are wrong; every problem was printed with its place."""


def read_files(names: Iterable[str]) -> list[Document]:
    """Return the objects of all files, in their order. Raises UsageError, BadText, MeshnetError."""
    from meshnet.model.documents import read_documents  # noqa: PLC0415 - YAML: many commands that may read need not

    return [document for text, source in read_texts(names) for document in read_documents(text, source)]


def read_texts(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return (text, source) of all files. Raises UsageError, and MeshnetError for a URL that gives nothing."""
    return [text for name in names for text in _texts(name)]


def read_topologies(names: Sequence[str], namespace: str, *, quiet: bool) -> list[dict[str, Any]]:
    """Return the Topologies of all files, each valid and with a namespace (`namespace` where it names none).

    Objects of other kinds are named on stderr and left out. Raises WrongFiles when a Topology is not valid, or an
    object of no kind at all, after printing all that is wrong with its line, and UsageError when there is no Topology.
    """
    from meshnet.model.check import doubles, faults, placed  # noqa: PLC0415 - as above
    from meshnet.model.resource import is_topology  # noqa: PLC0415

    documents = [placed(document, namespace) for document in read_files(names)]
    skipped = [_called(other) for other in documents if not is_topology(other.document)]
    found = [document for document in documents if is_topology(document.document)]
    wrong = [finding for document in documents for finding in faults(document)] + list(doubles(found))
    if wrong:
        print(*wrong, sep="\n", file=sys.stderr)
        raise WrongFiles(f"{len(wrong)} error(s) in the files: nothing was done")
    if skipped and not quiet:
        print(f"skipped, since no Topology: {printable(', '.join(skipped))}", file=sys.stderr)
    if not found:
        raise UsageError(f"{', '.join(names)}: no Topology in there")
    return [document.document for document in found]


def _called(other: Document) -> str:
    """An object that is no Topology of ours, as a user knows it; another group may have a kind of that name."""
    group = f" of {other.api_version}" if other.kind == "Topology" else ""
    return f"{other.kind} {other.name}{group}"


def _texts(name: str) -> Iterator[tuple[str, str]]:
    """Yield (text, source) of everything that one name stands for."""
    if not name:
        raise UsageError("'' is no file: must be a path, a URL, or - (is a variable not set?)")
    if name == "-":
        yield _stdin(), "<stdin>"
    elif name.startswith(("http://", "https://")):
        yield _fetch(name), name
    elif (entries := _entries(Path(name))) is not None:
        files = sorted(path for path in entries if path.suffix in SUFFIXES)
        if not files:
            raise UsageError(f"{name}: no {', '.join(SUFFIXES)} file in this directory")
        yield from ((_read(path), str(path)) for path in files)
    else:
        yield _read(Path(name)), name


def _entries(path: Path) -> list[Path] | None:
    """Return what is in a directory; None when it is none. Raises UsageError."""
    try:
        return list(path.iterdir()) if is_directory(path) else None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return _decode(_bounded(file))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _stdin() -> str:
    if sys.stdin is None:
        raise UsageError("-: standard input is closed")
    return _decode(_bounded(sys.stdin.buffer))


def _bounded(file: IO[bytes]) -> bytes:
    """Return what is in a file, or more than anybody takes: a pipe or a device may have no end."""
    from meshnet.model.documents import MAX_READ  # noqa: PLC0415 - as above

    return file.read(MAX_READ)


def _fetch(url: str) -> str:
    from meshnet.cli.download import download  # noqa: PLC0415 - HTTP is for a few

    return _decode(download(url))


def _decode(data: bytes) -> str:
    """Return a text; what in it is no UTF-8, the reader of its documents tells, with its place."""
    from meshnet.model.documents import MAX_READ  # noqa: PLC0415 - as above

    whole = len(data) < MAX_READ  # not all was read: a part is no error
    return codecs.utf_8_decode(data, "surrogateescape", whole)[0]
