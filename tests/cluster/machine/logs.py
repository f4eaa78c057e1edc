"""What daemons said last, for errors about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_LONGEST = 1000


def ends(directory: Path) -> str:
    """Return the end of every log of a machine, or of all machines below a directory, each with its name."""
    found = sorted({*directory.glob("log/*.log"), *directory.glob("*/log/*.log")})
    return "".join(f"\n{path.relative_to(directory)}: {path.read_text()[-_LONGEST:]}" for path in found)
