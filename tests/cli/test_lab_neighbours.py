"""``lab up`` tells where the kernel's table of neighbours has no room for the lab."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from meshnet.cli.lab import neighbours
from meshnet.cli.lab.neighbours import notes_for
from meshnet.cli.lab.planning import make_plan
from meshnet.cli.main import parse
from tests.cli.objects import link, topology
from tests.cli.test_lab_planning import some, write

if TYPE_CHECKING:
    from pathlib import Path

PAIR = [
    topology("r1", link(1, "r2"), link(2, "localhost", "eth2", "eth0"), link(3, "absent", "eth3")),
    topology("r2", link(1, "r1")),
]


def set_rooms(monkeypatch: pytest.MonkeyPatch, directory: Path, **rooms: int) -> None:
    """Have the machine's settings tell of so much room."""
    for family, room in rooms.items():
        place = directory / "net" / family / "neigh" / "default"
        place.mkdir(parents=True)
        (place / "gc_thresh3").write_text(f"{room}\n")
    monkeypatch.setattr(neighbours, "SYSCTL", directory)


@pytest.mark.parametrize(
    ("nodes", "underlay", "rooms", "told"),
    [
        (("n1", "n1"), "ipv4", {"ipv4": 2, "ipv6": 2}, []),
        (("n1", "n1"), "ipv4", {"ipv4": 1, "ipv6": 2}, ["gc_thresh3 is 1: ", "need 2,"]),
        (("n1", "n2"), "ipv4", {"ipv4": 3, "ipv6": 2}, ["net.ipv4.neigh.default.gc_thresh3 is 3: ", "need 4,"]),
        (("n1", "n2"), "ipv6", {"ipv4": 3, "ipv6": 3}, ["net.ipv6.neigh.default.gc_thresh3 is 3: ", "need 4,"]),
        (("n1", "n2"), "ipv6", {"ipv4": 1, "ipv6": 1}, ["net.ipv4.neigh", " is 1, net.ipv6.neigh", "need 4,"]),
        (("n1", "n2"), "ipv4", {}, []),
    ],
)
def test_both_ends_of_links_and_of_nodes_take_room(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nodes: tuple[str, str],
    underlay: str,
    rooms: dict[str, int],
    told: list[str],
) -> None:
    set_rooms(monkeypatch, tmp_path, **rooms)
    placement = dict(zip((("default", "r1"), ("default", "r2")), nodes, strict=True))

    notes = list(notes_for(PAIR, placement, underlay))

    assert len(notes) == bool(told)
    assert all(words in notes[0] for words in told)


@pytest.mark.parametrize("quiet", [False, True])
def test_it_is_said_before_the_lab_comes_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], quiet: bool
) -> None:
    set_rooms(monkeypatch, tmp_path, ipv4=1)
    documents: list[dict[str, Any]] = [*PAIR, *(some("Pod", name) for name in ("r1", "r2"))]

    make_plan(parse(["lab", "up", *["--quiet"] * quiet, write(tmp_path / "lab.yml", documents)]), "lab")

    assert ("note: net.ipv4.neigh.default.gc_thresh3 is 1: " in capsys.readouterr().err) == (not quiet)
