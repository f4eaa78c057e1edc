"""Reading what others wrote, a Kubernetes manifest or an answer, field by field; what is wrong is collected."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.errors import InvalidObject, Problem
from meshnet.model import rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

LONGEST_TOLD = 200
"""Characters of a problem, where a value may be anything."""
_REQUIRED: Any = object()


class Fields:
    """A mapping of a document, the path where it stands, and the list of everything found wrong so far."""

    def __init__(self, value: object, path: str, problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self.value: Mapping[str, Any] = value if isinstance(value, dict) else {}
        if value is not None and not isinstance(value, dict):
            self._wrong("", value, "must be a mapping")

    def text(self, name: str, default: str = _REQUIRED) -> str:
        """Return a string; numbers and booleans, which YAML makes of bare words, are refused as Kubernetes does."""
        value = self.value.get(name)
        if value is None:
            if default is _REQUIRED:
                self._wrong(name, None, "must be given")
                return ""
            return default
        if not isinstance(value, str):
            self._wrong(name, value, "must be a string (in quotes)")
            return default if default is not _REQUIRED else ""
        return value

    def dns_name(self, name: str, default: str = _REQUIRED) -> str:
        """Return a name as Kubernetes has most. It may become the name of a file, and part of `CNI_ARGS`."""
        text = self.text(name, default)
        if self.has(name) and not rules.is_subdomain(text):
            self.wrong(name, "must be a DNS name: labels of a-z, 0-9 and '-' joined by '.', at most 253 characters")
        return text

    def dns_label(self, name: str, default: str = _REQUIRED) -> str:
        """Return a name as Kubernetes has those of namespaces, hosts, containers and volumes."""
        text = self.text(name, default)
        if self.has(name) and not rules.is_label(text):
            self.wrong(name, "must be a DNS label: a-z, 0-9, '-', no '-' at the ends, at most 63 characters")
        return text

    def number(self, name: str, default: int, *, low: int = 0, high: int = 1 << 31) -> int:
        """Return a whole number within bounds."""
        value = self.value.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self._wrong(name, value, f"must be a whole number from {low} to {high}")
            return default
        return value

    def flag(self, name: str) -> bool:
        """Return a boolean; absent is false."""
        value = self.value.get(name)
        if value is not None and not isinstance(value, bool):
            self._wrong(name, value, "must be true or false")
        return value is True

    def texts(self, name: str) -> list[str]:
        """Return a list of strings."""
        found = []
        for index, item in enumerate(self.items(name)):
            if isinstance(item, str):
                found.append(item)
            else:
                self._wrong(f"{name}[{index}]", item, "must be a string (in quotes)")
        return found

    def items(self, name: str) -> list[Any]:
        """Return a list of anything; absent is empty."""
        value = self.value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            self._wrong(name, value, "must be a list")
            return []
        return value

    def each(self, name: str) -> Iterator[Fields]:
        """Yield the mappings of a list."""
        for index, item in enumerate(self.items(name)):
            yield Fields(item if item is not None else {}, self._at(f"{name}[{index}]"), self.problems)

    def inner(self, name: str) -> Fields:
        """Return a mapping inside this one; absent is empty."""
        return Fields(self.value.get(name), self._at(name), self.problems)

    def has(self, name: str) -> bool:
        return self.value.get(name) is not None

    def wrong(self, name: str, right: str) -> None:
        """Record that field `name` is wrong, and what would be right."""
        self._wrong(name, self.value.get(name), right)

    def _wrong(self, name: str, value: object, right: str) -> None:
        self.problems.append(Problem(self._at(name) if name else self.path, value, right))

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


def first_of(problems: Sequence[Problem]) -> str:
    """Return the first of all that is wrong, short, and how much more there is; ``""`` when nothing is."""
    if not problems:
        return ""
    first = problems[0]
    told = f"{first.path}: {first.told}" if first.path else first.told
    more = f", and {len(problems) - 1} more" if len(problems) > 1 else ""
    return told[:LONGEST_TOLD] + more


def refuse(name: str, problems: list[Problem]) -> None:
    """Raise InvalidObject for object `name` when there are problems."""
    if problems:
        raise InvalidObject(name, problems)
