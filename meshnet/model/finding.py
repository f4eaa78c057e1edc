"""What a check of files finds."""

from __future__ import annotations

import enum

import attrs

from meshnet.model.printable import printable


class Severity(enum.Enum):
    """An error keeps something from working; a warning may be meant so."""

    ERROR = "error"
    WARNING = "warning"


@attrs.frozen
class Finding:
    """One thing to look at in a file.

    Attributes:
        severity: whether it keeps something from working.
        source, line: where an editor should go.
        object: ``Topology default/r1``; ``""`` when the text could not be read at all.
        path: the field: ``spec.links[2].local_intf``; or ``""``.
        message: what is wrong and what would be right.
    """

    severity: Severity
    source: str
    line: int
    object: str
    path: str
    message: str

    def __str__(self) -> str:
        about = "".join(f"{part}: " for part in (self.object, self.path) if part)
        return printable(f"{self.source}:{self.line}: {self.severity.value}: {about}{self.message}")
