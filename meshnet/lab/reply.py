"""What the lab answers to a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping


@attrs.frozen
class Reply:
    """An answer: JSON, and descriptors, which are closed once they are sent."""

    document: Mapping[str, Any]
    descriptors: tuple[int, ...] = ()
