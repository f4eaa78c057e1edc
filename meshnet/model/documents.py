"""Kubernetes YAML and JSON as text, with the line of everything. The only importer of yaml."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import attrs
import yaml

from meshnet.errors import InvalidObject, MeshnetError, Problem
from meshnet.model.jsontext import read_json
from meshnet.model.places import Place, child, find_line
from meshnet.model.printable import encodable
from meshnet.model.scalars import plain_scalar
from meshnet.model.yamltree import MAX_DEPTH, Tree, TreeBuilder, TreeError

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BYTES = 16 * 2**20
"""Of one text: a ring of a thousand pods has less than one megabyte."""
MAX_READ = MAX_BYTES + 7
"""Bytes to read of a text that may have no end: of a larger one that is too much, also without a byte order mark at its
beginning and a part of a character at its end."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


_BREAKS = re.compile("[\x85\u2028\u2029]")
"""To YAML 1.1 each ends a line, and is folded with the spaces around it; in JSON each is a character as any."""
_UNDECODED = re.compile("[\udc80-\udcff]")
_UTF16_MARKS = ("\udcff\udcfe", "\udcfe\udcff")


class BadText(InvalidObject):
    """A text is no Kubernetes YAML or JSON.

    Attributes:
        source: the file, as given.
        line, column: where, from 1.
        what: what is wrong there.
    """

    def __init__(self, source: str, line: int, column: int, what: str) -> None:
        self.source = source
        self.line = line
        self.column = column
        self.what = what
        super().__init__(source, [Problem(f"line {line}, column {column}", None, what)])
        MeshnetError.__init__(self, f"{source}:{line}:{column}: {what}")


@attrs.frozen
class Document:
    """One object of a text.

    Attributes:
        document: the object as JSON types, as it would be on a cluster. Never changed in place.
        source: the file, as given.
        line: where it begins, from 1.
    """

    document: dict[str, Any] = attrs.field(repr=False)
    source: str
    line: int
    _place: Place = attrs.field(repr=False, eq=False)

    @property
    def api_version(self) -> str:
        return _text(self.document.get("apiVersion"))

    @property
    def kind(self) -> str:
        return _text(self.document.get("kind"))

    @property
    def name(self) -> str:
        return _text(self._metadata.get("name"))

    @property
    def namespace(self) -> str:
        """As written; ``""`` when there is none."""
        return _text(self._metadata.get("namespace"))

    @property
    def _metadata(self) -> dict[str, Any]:
        metadata = self.document.get("metadata")
        return metadata if isinstance(metadata, dict) else {}

    def locate(self, path: str) -> int:
        """Return the line of a path such as ``spec.links[2].mtu``, or of its nearest parent that is there."""
        return find_line(self._place, path)

    def where(self, path: str) -> str:
        """The place of a path, as an editor takes it: ``r1.yml:12``."""
        return f"{self.source}:{self.locate(path)}"


def read_documents(text: str, source: str) -> list[Document]:
    """Return the objects in a text of YAML (one or several documents) or JSON; of a list or ``List`` its items.

    Empty ones are left out. Scalars mean what they mean to kubectl. A key given twice is an error. References
    (``*name``) and merge keys work, within bounds.

    Args:
        text: decoded from UTF-8, with what is none as "surrogateescape" has it.
        source: the file, as given.

    Raises:
        BadText: what is wrong, with line and column.
    """
    text = text.removeprefix("\ufeff")
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise BadText(source, 1, 1, f"must not be larger than {MAX_BYTES // 2**20} MiB")
    undecoded = _UNDECODED.search(text)
    if undecoded:
        utf16 = ", and this is UTF-16 (PowerShell: Out-File -Encoding utf8)" if text.startswith(_UTF16_MARKS) else ""
        raise BadText(source, *_position(text, undecoded.start()), f"not text: must be UTF-8{utf16}")
    return [document for tree in _trees(text, source) for document in _documents(tree, source)]


def _trees(text: str, source: str) -> list[Tree]:
    # JSON is YAML, with the line of everything, but for a few things, such as these and the surrogate pairs that escape
    # what is beyond 16 bits.
    like_json = text.lstrip()[:1] in {"{", "["}
    if like_json and _BREAKS.search(text):
        trees = read_json(text, MAX_DEPTH)
        if trees is not None:
            return trees
    try:
        return list(_yaml_trees(text, source))
    except BadText as error:
        trees = read_json(text, MAX_DEPTH) if like_json else None
        if trees is None:
            raise error from None
        return trees


def _yaml_trees(text: str, source: str) -> Iterator[Tree]:
    builder = TreeBuilder()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            tree = builder.feed(event)
            if tree is not None:
                yield tree
    except TreeError as error:
        raise BadText(source, error.line, error.column, error.what) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise BadText(source, line, column, f"not YAML: {error.problem or error.context or 'unreadable'}") from None
    except yaml.reader.ReaderError as error:
        # its own position is in characters, or with libyaml in bytes
        bad = yaml.reader.Reader.NON_PRINTABLE.search(text)
        raise BadText(source, *_position(text, bad.start() if bad else 0), f"not YAML: {error.reason}") from None
    except UnicodeEncodeError as error:
        raise BadText(source, *_position(text, error.start), "not text: must be UTF-8") from None


def _position(text: str, index: int) -> tuple[int, int]:
    """Line and column of a character."""
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


def _documents(tree: Tree, source: str) -> Iterator[Document]:
    """The objects in one document of a text."""
    value, place = tree.value, tree.place
    if value is None:
        return
    if isinstance(value, list) and isinstance(place, Place):  # as `meshnet get` prints them
        for index, item in enumerate(value):
            yield from _documents(Tree(item, child(place, index)), source)
        return
    if not isinstance(value, dict) or not isinstance(place, Place):
        line = place if isinstance(place, int) else place.line
        raise BadText(source, line, 1, "must be a Kubernetes object: a map with apiVersion and kind")
    items = value.get("items")
    if not (_text(value.get("kind")).endswith("List") and isinstance(items, list)):
        yield Document(value, source, place.line, place)
        return
    for index, item in enumerate(items):
        yield from _documents(Tree(item, child(place, "items", index)), source)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def dump(value: Any) -> str:
    """JSON types as YAML, keys in the order they have; read again, here or by kubectl, they are the same.

    What is no text, as a part of a file's name may be, is escaped as on standard output.
    """
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True)
    return text


class _Dumper(_DUMPER):  # type: ignore[misc]  # with libyaml or without
    """Quotes what would be no string to Kubernetes: PyYAML leaves ``y`` and ``1e3`` as they are."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    text = encodable(text)
    try:
        safe = isinstance(plain_scalar(text), str)
    except ValueError:
        safe = False
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if safe else "'")


_Dumper.add_representer(str, _represent_text)
