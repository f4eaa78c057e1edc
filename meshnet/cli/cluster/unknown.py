"""A check that could not be made is a finding too: what is not known is not fine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from meshnet.cli.checks.finding import Finding, Outcome
from meshnet.errors import MeshnetError, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

APPLY = "kubectl apply -k manifests/base, of this release"


def known(area: str, about: str, check: Callable[[], Sequence[Finding]]) -> list[Finding]:
    """Return what a check finds; that it is not there, or that it is not known, where the cluster says so."""
    try:
        return list(check())
    except NotFound as error:
        return [Finding(area, about, Outcome.FAIL, f"is not there ({error})", APPLY)]
    except MeshnetError as error:
        cure = "ask somebody who may see it to run meshnet doctor"
        return [Finding(area, about, Outcome.WARN, f"not known: {error}", cure)]
