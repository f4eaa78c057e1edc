"""Random trouble under traffic: in the end everything is as declared, and no frame was ever on a wrong link.

For as long as you like: ``MESHNET_SOAK_SECONDS=300 MESHNET_SOAK_SEED=7 pytest -m lab -k nodes_soak -s``.
Of two seeds in a row one has a driver over IPv4, the other over IPv6.
"""

from __future__ import annotations

import json
import math
import os
from typing import TYPE_CHECKING, Any

import pytest

from tests.lab.scenarios.chaos import NODES, PODS, Chaos, Spell
from tests.lab.scenarios.lab import PROGRAMS, eventually
from tests.lab.scenarios.nodes import DRIVERS, bare, devices, prefer, took
from tests.lab.scenarios.wiring import network, split, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab
    from tests.lab.scenarios.wiring import Cable

    Spells = dict[tuple[str, str], list[Spell]]

SECONDS = float(os.environ.get("MESHNET_SOAK_SECONDS", "12"))
SEED = int(os.environ.get("MESHNET_SOAK_SEED", "1"))
UP, DOWN, ALONE = ("Up", None), ("Down", "Unplugged"), ("Pending", "PeerMissing")
LATE_S = 4.0
"""How long after an edit frames may still come by the cable that was: a node that is cut off hears of it later."""


def frames(log: Path) -> list[dict[str, Any]]:
    """Return what all pods have received."""
    rows: list[dict[str, Any]] = []
    for path in sorted(log.glob("*.jsonl")):
        text, pod = path.read_text(), path.name.partition("-")[0]
        rows += [{"pod": pod, **json.loads(line)} for line in text[: text.rfind("\n") + 1].splitlines()]
    return rows


def pods_with_marks(log: Path, documents: list[dict[str, Any]], python: str, program: Path) -> list[dict[str, Any]]:
    """Let each pod run the program that marks; a pod that comes anew writes to a file of its own."""
    for document in documents:
        if document["kind"] == "Pod":
            name = document["metadata"]["name"]
            run = f"sleep infinity | exec {python} {program} {name} > {log}/{name}-$$.jsonl"
            document["spec"]["containers"][0]["command"] = ["sh", "-c", run]
    return documents


def wrong_frames(spells: Spells, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the frames that came by a link that was not declared then, or not any more once the next one was heard."""
    at: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        if "from" in row:
            at.setdefault(f"{row['pod']}:{row['at']}", []).append(row)
    return [
        row
        for place, came in at.items()
        for row in came
        if not any(
            fits(row, spell, first_of_next(spells, place, came, spell)) for spell in spells_of(spells, place, row)
        )
    ]


def fits(row: dict[str, Any], spell: Spell, turned: float) -> bool:
    """Tell whether frames came by a link while it was one, or a moment later, but before the first of the next."""
    late = spell.until is not None and (row["first"] > spell.until + LATE_S or row["last"] > turned)
    return bool(row["last"] >= spell.since and not late)


def first_of_next(spells: Spells, place: str, came: list[dict[str, Any]], before: Spell) -> float:
    """Return when the first frame came to an endpoint by a link that was declared later than another."""
    firsts = (
        row["first"]
        for row in came
        if any(before.since < spell.since <= row["first"] for spell in spells_of(spells, place, row))
    )
    return min(firsts, default=math.inf)


def spells_of(spells: Spells, place: str, row: dict[str, Any]) -> list[Spell]:
    return spells.get((place, row["from"]), [])


def test_what_soaks_hold_for_a_wrong_frame() -> None:
    spells = {("p0:next", "p1:prev"): [Spell(10, 20)], ("p0:next", "p2:prev"): [Spell(19)]}

    def wrong(*came: tuple[str, float, float]) -> list[str]:
        rows = [{"pod": "p0", "at": "next", "from": who, "first": first, "last": last} for who, first, last in came]
        return [row["from"] for row in wrong_frames(spells, rows)]

    old, new = "p1:prev", "p2:prev"
    assert wrong((old, 11, 19.5), (old, 20, 20.7), (new, 20.8, 21)) == []
    assert wrong((old, 20, 20.9), (new, 20.8, 21)) == [old]
    assert wrong((old, 9, 9.5)) == wrong((old, 25, 25)) == [old]
    assert wrong((new, 18, 18.5)) == [new]
    assert wrong(("p3:prev", 11, 12)) == ["p3:prev"]


@pytest.mark.slow
@pytest.mark.timeout(max(240, SECONDS + 240))
@pytest.mark.parametrize("driver", DRIVERS)
def test_nodes_soak(lab: Lab, tmp_path: Path, driver: str) -> None:
    log = tmp_path / "marks"
    log.mkdir()
    chaos = Chaos(lab, tmp_path, SEED)
    program = write_program(tmp_path)
    documents = pods_with_marks(log, network(chaos.cables), lab.python, program)
    underlay = ("ipv4", "ipv6")[(SEED + DRIVERS.index(driver)) % 2]
    nodes = ("--nodes", len(NODES), "--underlay", underlay)
    lab.up(*nodes, *prefer(driver), write(tmp_path / "lab.yml", documents))
    try:
        chaos.for_seconds(SECONDS)
    finally:
        print("\n".join(chaos.done))
    comes_to_be_as_declared(lab, chaos)
    chaos.declare_again()
    comes_to_be_as_declared(lab, chaos)
    rows = frames(log)
    assert sum(row.get("count", 0) for row in rows) > 1000
    assert wrong_frames(chaos.spells, rows) == []
    ports = sum(len([name for name in devices(lab, node) if name.startswith("mn")]) for node in NODES)
    assert ports >= 16
    for pod in PODS:
        lab.run("lab", "stop", pod)
    eventually(lambda: bare(lab, NODES), "nothing is left on any node")


def comes_to_be_as_declared(lab: Lab, chaos: Chaos) -> None:
    """Wait until everything is as declared, and every link that is one pings."""
    try:
        took(lambda: not amiss(lab, chaos), f"everything is as declared, without Topologies {sorted(chaos.gone)}", 30)
    finally:
        print("amiss:", amiss(lab, chaos))
    for cable in chaos.cables:
        if cable.uid not in chaos.down and chaos.joins(cable):
            assert lab.pings(cable.a.partition(":")[0], cable.addresses[1]), cable


def write_program(directory: Path) -> Path:
    """Put the program where pods can read it, whoever runs the test."""
    path = directory / "marks.py"
    path.write_text((PROGRAMS / "marks.py").read_text())
    return path


def amiss(lab: Lab, chaos: Chaos) -> list[object]:
    """Return every link that is not as declared, and every endpoint whose carrier, as its pod sees it, is no truth."""
    seen = {f"{pod}:{name}": each.carrier for pod in PODS for name, each in lab.interfaces(pod).items()}
    links = lab.links()
    wrong: list[object] = []
    for cable in chaos.cables:
        declared = {place: split(place)[0] not in chaos.gone for place in (cable.a, cable.b)}
        wanted = state_of(chaos, cable) if any(declared.values()) else None
        link = links.pop(cable.uid, {})
        told = (link["state"], link.get("reason")) if link else None
        if told != wanted:
            wrong.append((cable.uid, told, wanted))
        for place, is_declared in declared.items():
            # One that is not declared may be there from before, without carrier.
            if seen.get(place, None if is_declared else False) is not (wanted == UP):
                wrong.append((place, seen.get(place)))
    return [*wrong, *links]


def state_of(chaos: Chaos, cable: Cable) -> tuple[str, str | None]:
    """Return state and reason of a link of which one end is declared at least."""
    if not chaos.joins(cable):
        return ALONE
    return DOWN if cable.uid in chaos.down else UP
