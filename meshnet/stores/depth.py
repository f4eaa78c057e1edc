"""JSON that anybody may have written, cut where it is nested deeper than anything of ours.

An API server takes an object that is nested ten thousand levels deep, in fields that it keeps without knowing them.
Python reads a thousand, and fewer the more of its own functions are under way: whoever may write one Topology could
end every daemon that lists them.
"""

from __future__ import annotations

import json
import re
from typing import Any

MOST_LEVELS = 128
"""More than a file may have (`meshnet.model.yamltree.MAX_DEPTH`)."""
CUT = f"(cut: nested deeper than {MOST_LEVELS} levels)"
"""What stands for a value that is too deep. Where depth matters, in options, far less is too deep already."""

# Possessive: to be able to go back within a text would cost a hundred times its length.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"|[][{}]')


def decode(data: bytes | str) -> Any:
    """Return the JSON value of a text, cut to `MOST_LEVELS` levels. Raises ValueError."""
    try:
        value = json.loads(data)
    except RecursionError:
        value = json.loads(_cut(data if isinstance(data, str) else data.decode()))
    _prune(value)
    return value


def _cut(text: str) -> str:
    """Return a text with `CUT` for every list and object beyond the last level, without reading them."""
    pieces: list[str] = []
    level = kept_to = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "[{":
            level += 1
            if level == MOST_LEVELS + 1:
                pieces += (text[kept_to : token.start()], json.dumps(CUT))
        elif token[0] in "]}":
            if level == MOST_LEVELS + 1:
                kept_to = token.end()
            level -= 1
    return "".join((*pieces, text[kept_to:]))


def _prune(value: Any) -> None:
    """Replace what is beyond the last level: comparing and copying it would go as deep."""
    waiting = [(value, 1)]
    while waiting:
        holder, level = waiting.pop()
        if type(holder) not in (dict, list):
            continue
        for key, inner in holder.items() if type(holder) is dict else enumerate(holder):
            if type(inner) in (dict, list):
                if level < MOST_LEVELS:
                    waiting.append((inner, level + 1))
                else:
                    holder[key] = CUT
