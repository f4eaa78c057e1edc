"""Finding drivers: every entry point of group ``meshnet``, each on its own, so that a broken one stops no other."""

from __future__ import annotations

import contextlib
import logging
from importlib import metadata
from typing import TYPE_CHECKING

import attrs
import pluggy

from meshnet.driver import hookspecs, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from contextlib import AbstractContextManager

    Within = Callable[[], AbstractContextManager[object]]

log = logging.getLogger(__name__)

GROUP = "meshnet"
"""The entry-point group of driver distributions; also pluggy's project name."""


@attrs.frozen
class Broken:
    """Something installed as a driver that cannot be one.

    Attributes:
        name: of the driver where it could be told, else of the entry point, or of the distribution.
        distribution: which installed distribution brought it.
        version: of that distribution.
        reason: a sentence.
    """

    name: str
    distribution: str
    version: str
    reason: str


@attrs.frozen
class Candidate:
    """What a distribution registered; not judged yet."""

    object: object
    distribution: str
    version: str

    def broken(self, reason: str) -> Broken:
        return Broken(self._name(), self.distribution, self.version, reason)

    def _name(self) -> str:
        try:
            name = getattr(self.object, "name", None)
            if isinstance(name, str) and name:
                return name
            return str(getattr(self.object, "__qualname__", None) or told.shown(self.object))
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001 - it is a stranger's
            return told.shown(self.object)


@attrs.frozen
class Discovery:
    """Everything that is installed for us: what was registered, and what failed before that."""

    candidates: tuple[Candidate, ...]
    broken: tuple[Broken, ...]


def discover(
    entry_points: Iterable[metadata.EntryPoint] | None = None, within: Within = contextlib.nullcontext
) -> Discovery:
    """Load every entry point of the group and let it register its drivers. Raises nothing for what they do.

    Args:
        entry_points: instead of those of the installed distributions.
        within: what each is imported within; what it raises counts as the import's.
    """
    candidates: list[Candidate] = []
    broken: list[Broken] = []
    points = _installed(broken) if entry_points is None else entry_points
    # In a fixed order: of two that want one name, the same wins on every node and at every start.
    for point in sorted(points, key=lambda point: (*_origin(point.dist), point.name)):
        distribution, version = _origin(point.dist)
        try:
            with within():
                registered = _registered(point)
        except KeyboardInterrupt:  # the user's, who has waited for it
            log.warning("interrupted in %s of distribution %s", point.value, distribution)
            raise
        except BaseException as error:  # noqa: BLE001 - a stranger's module may raise anything
            broken.append(Broken(point.name, distribution, version, f"{point.value}: {told.of_error(error)}"))
            continue
        if not registered:
            broken.append(Broken(point.name, distribution, version, f"{point.value}: {_NOTHING}"))
        candidates.extend(Candidate(found, distribution, version) for found in registered)
    return Discovery(tuple(candidates), tuple(broken))


_NOTHING = "registers no driver; right would be a @hookimpl named meshnet_register_drivers that calls register(Driver)"


def _installed(broken: list[Broken]) -> list[metadata.EntryPoint]:
    """Return the group's entry points of what is installed; a distribution with some that cannot be read is `broken`.

    `metadata.entry_points` reads those of every distribution, and raises for all when one, whatever it is, is damaged.
    """
    found: list[metadata.EntryPoint] = []
    names: set[str] = set()
    for distribution in metadata.distributions():
        try:
            points = distribution.entry_points.select(group=GROUP)
        except Exception as error:  # noqa: BLE001 - it is no text, or one without sense, for which there is no one error
            name, version = _origin(distribution)
            broken.append(Broken(name, name, version, f"entry_points.txt: {told.of_error(error)}"))
            continue
        name = _metadata(distribution, "Name") if points else ""
        if name not in names:  # of two the first on the path is what Python imports
            found += points
        if name:
            names.add(name)
    return found


def _origin(distribution: metadata.Distribution | None) -> tuple[str, str]:
    """Name and version of a distribution.

    Half removed or damaged, it may have no metadata, which should tell them, or none that can be read.
    """
    return (_metadata(distribution, "Name") or "unknown", _metadata(distribution, "Version"))


def _metadata(distribution: metadata.Distribution | None, field: str) -> str:
    # asked for by `dist.name`, what is missing is None, of which Python 3.13 warns and a later one makes a KeyError;
    # later still all of it is None where there is no file
    try:
        found = distribution.metadata if distribution else None
    except (OSError, UnicodeError):
        return ""
    return found[field] if found and field in found else ""


def _registered(point: metadata.EntryPoint) -> list[object]:
    """Import one entry point and return what its hook registers; all of it or, when the hook raises, nothing."""
    # A manager of its own for each: pluggy keeps a plugin whose hooks it has just refused, and its check_pending
    # would blame the next one for it.
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    manager.register(point.load(), point.name)
    manager.check_pending()
    found: list[object] = []
    manager.hook.meshnet_register_drivers(register=found.append)
    return found
