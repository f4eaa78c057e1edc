"""The drivers of this process: which there are, which are broken and why, and who wants a kind of link."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from typing import TYPE_CHECKING, Self

import attrs

from meshnet.driver.admission import Refused, instance_of, judged
from meshnet.driver.calls import Hangs, call
from meshnet.driver.plugins import Broken, Candidate, Discovery, discover
from meshnet.errors import LinkError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from importlib.metadata import EntryPoint

    from meshnet.driver.api import DriverContext, LinkDriver, Scope
    from meshnet.driver.plugins import Within

START_LIMIT_S = 10.0
"""How long a driver may take to start or to stop."""

log = logging.getLogger(__name__)


@attrs.frozen
class Entry:
    """An installed driver whose declaration is right.

    Attributes:
        driver: the one instance of this process; another one each time that it could not start.
        distribution: which installed distribution brought it.
        version: of that distribution.
        unusable: why it does not work on this node; ``""`` when it does, as far as is known.
        hopeless: trying again is of no use.
    """

    driver: LinkDriver
    distribution: str
    version: str
    unusable: str = ""
    hopeless: bool = False

    @property
    def name(self) -> str:
        return self.driver.name


class Registry:
    """Drivers by name. Made by `load` from what is installed, or from classes in a test.

    A driver that cannot work on this node (its `start` failed) stays in `get` and `claimants` with its reason in
    `Entry.unusable`: a link that wants it says so, and nothing falls back to another driver silently.
    """

    def __init__(self, discovery: Discovery, *, prefer: Mapping[Scope, str] | None = None) -> None:
        self._entries: dict[str, Entry] = {}
        self._names: dict[str, str] = {}
        self._broken: list[Broken] = list(discovery.broken)
        self._started: list[str] = []
        self._ranked: dict[Scope, tuple[Entry, ...]] = {}
        self._prefer = dict(prefer or {})
        for candidate in discovery.candidates:
            self._admit(candidate)

    @classmethod
    def load(
        cls,
        *,
        prefer: Mapping[Scope, str] | None = None,
        entry_points: Iterable[EntryPoint] | None = None,
        within: Within = contextlib.nullcontext,
    ) -> Self:
        """Return a registry of every installed driver. Raises nothing for a broken one: see `broken`.

        Args:
            prefer: for a kind of link the driver that is chosen when a link names none, whatever the ranks.
            entry_points: instead of those of the installed distributions.
            within: what each is imported within.
        """
        with contextlib.redirect_stdout(sys.stderr):  # standard output is the command's, which a program may read
            return cls(discover(entry_points, within), prefer=prefer)

    @classmethod
    def of(cls, *drivers: type[LinkDriver], prefer: Mapping[Scope, str] | None = None) -> Self:
        """Return a registry of these classes alone, judged as installed ones are."""
        return cls(Discovery(tuple(Candidate(driver, "given", "0") for driver in drivers), ()), prefer=prefer)

    def find(self, name: str) -> Entry | None:
        """Return the driver of that name or alias, in any case, or None."""
        found = self._names.get(name.lower())
        return None if found is None else self._entries[found]

    def get(self, name: str) -> Entry:
        """Return the driver of that name or alias, in any case. Raises LinkError ``DriverMissing``, saying why."""
        entry = self.find(name)
        if entry is None:
            raise LinkError("DriverMissing", self._why_missing(name))
        return entry

    def entries(self) -> list[Entry]:
        """Return every driver that is not broken, by name."""
        return [self._entries[name] for name in sorted(self._entries)]

    def usable(self) -> list[Entry]:
        """Return the drivers that work on this node, by name."""
        return [entry for entry in self.entries() if not entry.unusable]

    def broken(self) -> list[Broken]:
        """Return what is installed as a driver but cannot be one, by distribution and name."""
        return sorted(self._broken, key=lambda broken: (broken.distribution, broken.name))

    def claimants(self, scope: Scope) -> list[Entry]:
        """Return the drivers that claim links of `scope`, the one to choose first; none is an empty list.

        Raises LinkError: ``DriverAmbiguous`` when two of the highest rank claim it and the configuration prefers
        neither, ``DriverMissing`` when it prefers one that is not there or makes no such links.
        """
        ranked = self._ranked.get(scope)
        if ranked is None:
            ranked = self._ranked[scope] = self._rank(scope)  # asked for each link, and the same until one starts
        preferred = self._preferred(scope)
        if preferred is not None:
            return [preferred, *(entry for entry in ranked if entry.name != preferred.name)]
        if len(ranked) > 1 and ranked[0].driver.rank == ranked[1].driver.rank:
            raise LinkError("DriverAmbiguous", _tie(scope, ranked[0], ranked[1]))
        return list(ranked)

    def chosen_by(self, scope: Scope) -> str:
        """Return the setting that chooses the driver for a kind of link; ``""`` when ranks do."""
        return setting_of(scope) if scope in self._prefer else ""

    def _rank(self, scope: Scope) -> tuple[Entry, ...]:
        claiming = (entry for entry in self.entries() if scope in entry.driver.claims)
        return tuple(sorted(claiming, key=lambda entry: -entry.driver.rank))

    async def start_all(self, make_ctx: Callable[[str], DriverContext], *, limit_s: float = START_LIMIT_S) -> None:
        """Start every driver; one that fails or takes longer than `limit_s` seconds becomes unusable here.

        Args:
            make_ctx: gives the driver of that name its context.
            limit_s: seconds for each; they start side by side.
        """
        await asyncio.gather(*(self._start(entry, make_ctx, limit_s) for entry in self.entries()))

    async def start_again(
        self, make_ctx: Callable[[str], DriverContext], *, limit_s: float = START_LIMIT_S
    ) -> list[Entry]:
        """Start those that could not, unless that is hopeless; return what has become of them, by name.

        An instance is started once, so each gets a new one. Arguments are those of `start_all`.
        """
        waiting = [entry for entry in self.entries() if entry.unusable and not entry.hopeless]
        await asyncio.gather(*(self._renew(entry, make_ctx, limit_s) for entry in waiting))
        return [self._entries[entry.name] for entry in waiting]

    async def stop_all(self, *, limit_s: float = START_LIMIT_S) -> None:
        """Stop every driver that was started, the last first; a failure is logged and stops no other."""
        while self._started:
            entry = self._entries[self._started.pop()]
            try:
                await call(entry.driver, "stop", limit_s=limit_s)
            except LinkError as error:
                log.warning("%s", error)

    async def _start(self, entry: Entry, make_ctx: Callable[[str], DriverContext], limit_s: float) -> None:
        try:
            await call(entry.driver, "start", make_ctx(entry.name), limit_s=limit_s)
        except LinkError as error:
            # who hangs once may for ever, each time with one more that does
            hopeless = not error.retry or isinstance(error, Hangs)
            self._enter(attrs.evolve(entry, unusable=str(error), hopeless=hopeless))
        else:
            self._enter(attrs.evolve(entry, unusable=""))
            self._started.append(entry.name)

    async def _renew(self, entry: Entry, make_ctx: Callable[[str], DriverContext], limit_s: float) -> None:
        try:
            driver = instance_of(type(entry.driver))
        except Refused as refused:
            self._enter(attrs.evolve(entry, unusable=str(refused)))
        else:
            await self._start(attrs.evolve(entry, driver=driver), make_ctx, limit_s)

    def _enter(self, entry: Entry) -> None:
        self._entries[entry.name] = entry
        self._ranked.clear()

    def _admit(self, candidate: Candidate) -> None:
        try:
            cls = judged(candidate.object)
            self._refuse_taken(cls)
            driver = instance_of(cls)
        except Refused as refused:
            self._broken.append(candidate.broken(str(refused)))
            return
        self._enter(Entry(driver, candidate.distribution, candidate.version))
        self._names |= {name.lower(): driver.name for name in (driver.name, *driver.aliases)}

    def _refuse_taken(self, cls: type[LinkDriver]) -> None:
        for name in (cls.name, *cls.aliases):
            first = self.find(name)
            if first is not None:
                kind = "name" if name == cls.name else "alias"
                raise Refused(
                    f"{kind} {name!r} is taken by driver {first.name} of {first.distribution} {first.version}; "
                    "uninstall one of the two"
                )

    def _preferred(self, scope: Scope) -> Entry | None:
        name = self._prefer.get(scope)
        if name is None:
            return None
        entry = self.find(name)
        if entry is None:
            raise LinkError("DriverMissing", f"{setting_of(scope)}={name}: {self._why_missing(name)}")
        if scope not in entry.driver.scopes:
            makes = ", ".join(words_of(kind) for kind in entry.driver.scopes)
            raise LinkError(
                "DriverMissing",
                f"{setting_of(scope)}={name}: driver {entry.name} makes links of kind {makes}, not {words_of(scope)}",
            )
        return entry

    def _why_missing(self, name: str) -> str:
        for broken in self._broken:
            if broken.name.lower() == name.lower():
                return f"driver {name!r} of {broken.distribution} {broken.version} is broken: {broken.reason}"
        installed = ", ".join(sorted(self._entries)) or "none"
        return f"driver {name!r} is not installed on this node; installed: {installed}"


def words_of(scope: Scope) -> str:
    """Return a kind of link as people say it: ``same node``."""
    return (scope.name or "").lower().replace("_", " ")


def setting_of(scope: Scope) -> str:
    """Return the setting that says which driver is preferred for a kind of link."""
    return f"MESHNET_PREFER_{scope.name}"


def _tie(scope: Scope, one: Entry, other: Entry) -> str:
    return (
        f"drivers {one.name} ({one.distribution}) and {other.name} ({other.distribution}) both claim {words_of(scope)} "
        f"links with rank {one.driver.rank}; set {setting_of(scope)} to one of them, or name a driver in the link"
    )
