"""What is wrong with the options of links, by the driver that gets them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from meshnet.driver.api import Scope
from meshnet.driver.catalog import NodeCatalog
from meshnet.driver.options import decode_options, per_end
from meshnet.errors import InvalidObject, LinkError, Problem
from meshnet.model.effective import effective, pointing_back

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from meshnet.driver.api import LinkDriver
    from meshnet.driver.registry import Registry
    from meshnet.model.effective import EffectiveLink
    from meshnet.model.topology import Link, PodKey, Topology

    Topologies = Mapping[PodKey, Topology]

OF_PODS = Scope.SAME_NODE | Scope.BETWEEN_NODES
"""What may join two pods: which of them does depends on their nodes."""


def per_end_of_any(registry: Registry) -> frozenset[str]:
    """Return the options that any driver has for each end: which one makes a link often depends on its nodes."""
    return frozenset(name for entry in registry.entries() for name in per_end(entry.driver))


class OptionsJudge:
    """Judges options as the driver will that gets them, or as all do of which one will."""

    def __init__(self, registry: Registry, topologies: Topologies) -> None:
        self._registry = registry
        self._topologies = topologies
        self._canonical = NodeCatalog(registry).canonical
        self._per_end = per_end_of_any(registry)

    def problems(self, topology: Topology | None, link: Link, path: str) -> Iterator[Problem]:
        """Yield what is wrong with the options of a link, as its driver will get them; each where it is written."""
        agreed = None
        if topology is not None:
            with contextlib.suppress(LinkError):  # `check` tells it; what this end gives can be judged by itself
                agreed = self._agreed(topology, link, self._per_end)
        if topology is None or agreed is None:
            yield from self._refused_alone(topology, link, path)
            return
        theirs = tuple(f"{path}.{key}{end}" for key in agreed.options.keys() - link.options.keys() for end in ".[")
        refused = self._refused_as_agreed(topology, link, agreed, path)
        yield from (problem for problem in refused if not f"{problem.path}.".startswith(theirs))
        yield from self._differing(topology, link, agreed, path)

    def _refused_alone(self, topology: Topology | None, link: Link, path: str) -> Sequence[Problem]:
        """Return what is wrong with what this end gives, whatever becomes of what its ends do not agree on."""
        back = None if topology is None else pointing_back(topology, link, self._other(topology, link))
        name = link.driver or (back.driver if back else None)
        if name is None and back is not None:
            return self._refused_by_all(link.options, path)
        return _refused(_driver(self._registry, name, link), link.options, path)

    def _refused_as_agreed(self, topology: Topology, link: Link, agreed: EffectiveLink, path: str) -> Sequence[Problem]:
        if agreed.driver is None and self._other(topology, link) is not None:
            return self._refused_by_all(agreed.options, path)
        return _refused(_driver(self._registry, agreed.driver, link), agreed.options, path)

    def _refused_by_all(self, options: Mapping[str, Any], path: str) -> list[Problem]:
        """Return what is wrong with the options of a link of two pods whichever driver makes it."""
        drivers = [entry.driver for entry in self._registry.entries() if entry.driver.scopes & OF_PODS]
        each = [{problem.path: problem for problem in _refused(driver, options, path)} for driver in drivers]
        names = ", ".join(driver.name for driver in drivers)
        common: list[Problem] = []
        for where, problem in each[0].items() if each else ():
            told = {other[where].right if where in other else None for other in each}
            if None not in told:
                right = problem.right if len(told) == 1 else f"no driver that may make this link takes it: {names}"
                common.append(Problem(where, problem.value, right))
        return common

    def _differing(self, topology: Topology, link: Link, agreed: EffectiveLink, path: str) -> Iterator[Problem]:
        """Yield, at one of the ends, what both must have alike for their driver, though not for another's."""
        driver = _driver(self._registry, agreed.driver, link)
        if driver is None or agreed.peer is None or agreed.local.sort_key < agreed.peer.sort_key:
            return
        try:
            self._agreed(topology, link, per_end(driver))
        except LinkError as error:
            yield Problem(path, None, str(error))

    def _agreed(self, topology: Topology, link: Link, own: frozenset[str]) -> EffectiveLink:
        return effective(topology, link, self._other(topology, link), own, canonical=self._canonical)

    def _other(self, topology: Topology, link: Link) -> Topology | None:
        """Return the Topology at the other end of a link, if it is among these; an interface of the node has none."""
        peer = topology.peer(link)
        return self._topologies.get(peer.pod_key) if peer else None


def _refused(driver: LinkDriver | None, options: Mapping[str, Any], path: str) -> Sequence[Problem]:
    if driver is None:
        return ()
    try:
        decode_options(driver, options, path)
    except InvalidObject as error:
        return error.problems
    return ()


def _driver(registry: Registry, name: str | None, link: Link) -> LinkDriver | None:
    """Return the driver that a link gets wherever its pods run, or None where that cannot be told."""
    if name:
        entry = registry.find(name)
        return entry.driver if entry else None
    if not link.external:
        return None
    try:
        claimants = registry.claimants(Scope.EXTERNAL)
    except LinkError:
        return None
    return claimants[0].driver if claimants else None
