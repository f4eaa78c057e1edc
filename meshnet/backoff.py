"""How long to wait before what has failed is tried again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def doubling(first_s: float, longest_s: float) -> Iterator[float]:
    """Yield the seconds to wait before each next try: twice as long as before it, up to the longest, for ever."""
    delay_s = first_s
    while True:
        yield delay_s
        delay_s = min(longest_s, 2 * delay_s)


def spread(delay_s: float) -> float:
    """Return half of a delay or more of it, by chance: those that failed together do not come back as one."""
    return delay_s * random.uniform(0.5, 1.0)  # noqa: S311 - no secret
