"""Random trouble for a lab of several nodes, by a seed: the same seed does the same in the same order."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING

import attrs

from tests.lab.scenarios.wiring import Cable, split, topologies, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab

NODES = ("n1", "n2", "n3")
PODS = tuple(f"p{number}" for number in range(6))
ISOLATIONS = ((), ("--direction", "in"), ("--direction", "out"), ("--direction", "both"))


@attrs.define
class Spell:
    """A time in which a pair of endpoints was a link by what the daemons could know; `until` is None while it is."""

    since: float
    until: float | None = None


def wiring(number: int) -> list[Cable]:
    """Return one of the ways in which the six pods are cabled: interfaces stay, peers change."""
    step = number % 2 + 1
    ring = [Cable(n + 1, f"{pod}:next", f"{PODS[(n + step) % 6]}:prev") for n, pod in enumerate(PODS)]
    return [*ring, Cable(7, "p0:far", "p3:far"), Cable(8, "p1:far", "p4:far")]


class Chaos:
    """Does one thing after the other to a lab, and knows what is declared, where pods run and what is broken.

    Attributes:
        spells: since when, and until when, each ordered pair of endpoints was a link. What is declared while a daemon
            is away ends with its return: until then its node forwards as it did.
        down: uids of links that are unplugged.
        gone: pods whose Topology is deleted: no link of theirs is one.
        done: what was done, in words.
    """

    def __init__(self, lab: Lab, directory: Path, seed: int) -> None:
        self._lab = lab
        self._directory = directory
        self._chance = random.Random(seed)
        self._number = 0
        self._mtu = 1400
        self._dead: set[str] = set()
        self._isolated: set[str] = set()
        self.down: set[int] = set()
        self.gone: set[str] = set()
        self.spells: dict[tuple[str, str], list[Spell]] = {}
        self.done: list[str] = []
        self._unheard: list[Spell] = []
        self._declare()

    @property
    def cables(self) -> list[Cable]:
        """What is declared now, by the Topologies that are there."""
        return [
            attrs.evolve(cable, both={"mtu": self._mtu, **({"down": True} if cable.uid in self.down else {})})
            for cable in wiring(self._number)
        ]

    def joins(self, cable: Cable) -> bool:
        """Tell whether both ends of a cable are declared."""
        return not self.gone & {split(place)[0] for place in (cable.a, cable.b)}

    def for_seconds(self, seconds: float) -> None:
        """Make trouble for so long, then mend everything but that a Topology is missing at least."""
        actions: list[Callable[[], None]] = [
            self._kill,
            self._stop,
            self._start,
            self._isolate,
            self._rejoin,
            self._restart_pod,
            self._restart_pod,
            self._edit_mtu,
            self._unplug,
            self._plug_in,
            self._recable,
            self._delete,
            self.declare_again,
        ]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self._chance.choice(actions)()
            time.sleep(self._chance.uniform(0, 0.7))
        self._delete()
        self._mend()

    def declare_again(self) -> None:
        """Declare what was deleted."""
        self.gone.clear()
        self._declare()

    def _do(self, *arguments: object) -> None:
        self.done.append(" ".join(map(str, arguments)))
        self._lab.run(*arguments)

    def _kill(self) -> None:
        self._end_daemon("kill")

    def _stop(self) -> None:
        self._end_daemon("stop")

    def _end_daemon(self, how: str) -> None:
        node = self._chance.choice(NODES)
        if node not in self._dead:
            self._dead.add(node)
            self._do("lab", "node", node, how)

    def _start(self) -> None:
        for node in sorted(self._dead):
            self._dead.discard(node)
            self._do("lab", "node", node, "start")
        for spell in self._unheard:
            spell.until = time.monotonic()
        self._unheard.clear()

    def _isolate(self) -> None:
        node = self._chance.choice(NODES)
        self._isolated.add(node)
        self._do("lab", "node", node, "isolate", *self._chance.choice(ISOLATIONS))

    def _rejoin(self) -> None:
        for node in sorted(self._isolated):
            self._isolated.discard(node)
            self._do("lab", "node", node, "rejoin")

    def _restart_pod(self) -> None:
        """A pod comes anew, here or elsewhere; where no daemon answers, the runtime would try again later."""
        pod = self._chance.choice(PODS)
        if not self._dead:
            self._do("lab", "restart", pod, "--node", self._chance.choice(NODES))

    def _edit_mtu(self) -> None:
        self._mtu = self._chance.choice((1300, 1350, 1400))
        self._declare()

    def _unplug(self) -> None:
        self.down.add(self._chance.randint(1, 8))
        self._declare()

    def _plug_in(self) -> None:
        self.down.clear()
        self._declare()

    def _recable(self) -> None:
        self._number += 1
        self._declare()

    def _delete(self) -> None:
        """A Topology goes; other edits leave it gone."""
        pod = self._chance.choice(PODS)
        if pod not in self.gone:
            self.gone.add(pod)
            self._do("delete", "topology", pod)
            self._end_spells()

    def _declare(self) -> None:
        """Have the present wiring declared, and note since when."""
        now = time.monotonic()
        for pair in self._wanted():
            spells = self.spells.setdefault(pair, [])
            if not spells or spells[-1].until is not None:
                spells.append(Spell(now))
        if self.done or self._number or self.down:
            self.done.append(f"declare wiring {self._number}, mtu {self._mtu}, down {sorted(self.down)}")
            there = [each for each in topologies(self.cables) if each["metadata"]["name"] not in self.gone]
            self._lab.apply(write(self._directory / "edited.yml", there))
        self._end_spells()

    def _wanted(self) -> set[tuple[str, str]]:
        """Return what is a link by what is declared, as ordered pairs of endpoints."""
        cables = [cable for cable in self.cables if self.joins(cable)]
        return {pair for cable in cables for pair in ((cable.a, cable.b), (cable.b, cable.a))}

    def _end_spells(self) -> None:
        """Note until when there was what is no link any more."""
        wanted, now = self._wanted(), time.monotonic()
        for pair, spells in self.spells.items():
            if pair not in wanted and spells[-1].until is None:
                spells[-1].until = now
                if self._dead:
                    self._unheard.append(spells[-1])

    def _mend(self) -> None:
        self._start()
        self._rejoin()
        for pod in PODS:  # an ADD that failed meanwhile is tried again
            self._lab.run("lab", "start", pod, code=None)
