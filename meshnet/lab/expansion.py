"""``$(NAME)`` in commands, arguments and environment, as Kubernetes expands it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_REFERENCE = re.compile(r"\$(\$|\(([^)]*)\))")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Return `text` with ``$(NAME)`` replaced; an unknown name stays as it is, ``$$`` is one ``$``."""

    def value(match: re.Match[str]) -> str:
        name = match.group(2)
        if name is None:
            return "$"
        return variables.get(name, match.group(0))

    return _REFERENCE.sub(value, text)
