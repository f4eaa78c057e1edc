"""What is wrong between the Topologies of one set of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs

from meshnet.errors import LinkError
from meshnet.model.effective import addresses, effective
from meshnet.model.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Mapping

    from meshnet.model.documents import Document
    from meshnet.model.topology import Link, PodKey, Topology


@attrs.frozen
class Declared:
    """A Topology of the set, and the document that declares it."""

    document: Document
    topology: Topology

    def finding(self, severity: Severity, path: str, message: str) -> Finding:
        """A finding at a path of this document."""
        where = f"Topology {self.topology.namespace}/{self.topology.name}"
        return Finding(severity, self.document.source, self.document.locate(path), where, path, message)


@attrs.frozen
class _Both:
    """The two ends of a link that each say the other is their peer: (declared, index of the entry) each."""

    here: Declared
    index: int
    there: Declared
    back_index: int

    @property
    def link(self) -> Link:
        return self.here.topology.links[self.index]

    @property
    def back(self) -> Link:
        return self.there.topology.links[self.back_index]

    @property
    def second(self) -> bool:
        """Whether `here` is the end that is found later; what concerns both is said there, once."""
        mine, other = self.here.topology.endpoint(self.link), self.there.topology.endpoint(self.back)
        return (mine.pod, mine.interface) > (other.pod, other.interface)

    @property
    def elsewhere(self) -> str:
        return self.there.document.where(f"spec.links[{self.back_index}]")


def cross_findings(
    declared: Mapping[PodKey, Declared],
    broken: Container[PodKey],
    per_end: frozenset[str],
    canonical: Callable[[str], str],
) -> Iterator[Finding]:
    """Yield what keeps links from coming up, or looks wrong, though each Topology is right by itself.

    Args:
        declared: the Topologies of the set by (namespace, name).
        broken: keys of Topologies that are in the set, but wrong: nothing is said about links to them.
        per_end: option keys that the two ends may have differently.
        canonical: gives a driver's name for any of its aliases.
    """
    for here in declared.values():
        for index, link in enumerate(here.topology.links):
            key = here.topology.namespace, link.peer_pod
            if link.external or (key in broken and key not in declared):
                continue
            there = declared.get(key)
            both = _both(here, index, there) if there else None
            try:
                effective(here.topology, link, there.topology if there else None, per_end, canonical=canonical)
            except LinkError as error:
                yield from _why_no_link(here, index, there, both, error)
            if both:
                yield from _address_findings(both)
                yield from _mac_findings(both)


def _both(here: Declared, index: int, there: Declared) -> _Both | None:
    link = here.topology.links[index]
    for back_index, back in enumerate(there.topology.links):
        if back.local_intf == link.peer_intf and there.topology.peer(back) == here.topology.endpoint(link):
            return _Both(here, index, there, back_index)
    return None


def _why_no_link(
    here: Declared, index: int, there: Declared | None, both: _Both | None, error: LinkError
) -> Iterator[Finding]:
    """Say at the right place, and once, why an entry and its peer's make no link."""
    path = f"spec.links[{index}]"
    if there is None:
        peer = here.topology.links[index].peer_pod
        message = f"{peer!r}: is not in these files; the link waits until there is such a Topology"
        yield here.finding(Severity.WARNING, f"{path}.peer_pod", message)
    elif both is None:
        yield here.finding(Severity.ERROR, path, f"{error} ({_entry_place(here.topology.links[index], there)})")
    elif both.second:
        yield here.finding(Severity.ERROR, path, f"{error} ({both.elsewhere})")


def _entry_place(link: Link, there: Declared) -> str:
    """Where the peer declares the interface that `link` names, or where it should."""
    interfaces = [back.local_intf for back in there.topology.links]
    known = link.peer_intf in interfaces
    return there.document.where(f"spec.links[{interfaces.index(link.peer_intf)}]" if known else "spec.links")


def _address_findings(both: _Both) -> Iterator[Finding]:
    """Addresses that are hardly meant so."""
    mine = addresses(both.here.topology, both.link, both.there.topology)
    theirs = addresses(both.there.topology, both.back, both.here.topology)
    hosts = {address.partition("/")[0] for address in mine}
    same = [address for address in theirs if address.partition("/")[0] in hosts]
    path = f"spec.links[{both.index}]"
    if same and both.second:
        yield both.here.finding(
            Severity.WARNING, path, f"both ends have the address {same[0].partition('/')[0]} ({both.elsewhere})"
        )
    peer_ip = both.link.peer_ip
    if peer_ip and both.back.addresses and peer_ip not in both.back.addresses:
        message = f"{peer_ip!r}: is not used, the peer has {', '.join(both.back.addresses)} ({both.elsewhere})"
        yield both.here.finding(Severity.WARNING, f"{path}.peer_ip", message)


def _mac_findings(both: _Both) -> Iterator[Finding]:
    """One MAC at both ends: they get one link-local address, too, and nothing tells their frames apart."""
    mac = both.link.local_mac
    if mac and mac == both.back.local_mac and both.second:
        path = f"spec.links[{both.index}].local_mac"
        yield both.here.finding(Severity.WARNING, path, f"both ends have the MAC {mac} ({both.elsewhere})")
