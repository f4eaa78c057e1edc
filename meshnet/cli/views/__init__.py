"""What `meshnet get` can show: a module of each kind, with how it is read and which columns its table has."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from meshnet.cli.views.base import View

KINDS = ("topologies", "links", "nodes", "sandboxes", "drivers", "events")


def view_of(kind: str) -> View:
    """Return what is needed to show one of `KINDS`. The imports of the others would cost it half of its time."""
    return cast("View", importlib.import_module(f"meshnet.cli.views.{kind}").VIEW)
