"""What a page of the docs shows and says: its fenced blocks, the commands in them, its tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "docs" / "kubernetes"
SECURITY = ROOT / "docs" / "security.md"
README = ROOT / "README.md"
TROUBLESHOOTING = KUBERNETES / "troubleshooting.md"

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: its file.
        section: the nearest heading above it.
        language: after the fence; ``""`` for commands.
        text: without the page's indentation.
    """

    page: Path
    section: str
    language: str
    text: str

    @property
    def commands(self) -> list[str]:
        """Its commands, a line each; a loop is one, whatever its lines."""
        return list(_commands(self.text))


def blocks(page: Path, language: str = "") -> list[Block]:
    """The blocks of a page in one language, by default those of commands."""
    text = page.read_text()
    found = [Block(page, _section(text, match.start()), match[2], _dedent(match)) for match in _FENCE.finditer(text)]
    return [block for block in found if block.language == language]


def rows(page: Path, *head: str) -> list[list[str]]:
    """The cells of all tables of a page whose header begins with these words."""
    found: list[list[str]] = []
    inside = False
    for line in page.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")] if line.startswith("|") else []
        if inside and cells and not set(line) <= set("|- "):
            found.append(cells)
        inside = bool(cells) and (inside or cells[: len(head)] == list(head))
    return found


def _section(text: str, position: int) -> str:
    return ([""] + [match[1] for match in _HEADING.finditer(text, 0, position)])[-1]


def _dedent(match: re.Match[str]) -> str:
    return re.sub(rf"^{match[1]}", "", match[3], flags=re.MULTILINE)


def _commands(text: str) -> Iterator[str]:
    lines: list[str] = []
    for line in text.splitlines():
        lines.append(line)
        begun = "\n".join(lines)
        if len(re.findall(r"\bdo$", begun, re.MULTILINE)) == len(re.findall(r"^done$", begun, re.MULTILINE)):
            yield begun
            lines = []
