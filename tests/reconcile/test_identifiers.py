"""Identifiers: the same for the same endpoint, at rest before another has it."""

from __future__ import annotations

import json

import pytest

from meshnet.model.topology import Endpoint
from meshnet.reconcile import identifiers
from meshnet.reconcile.identifiers import REST_S, SPACE, Identifiers

POOL = "vni"


def endpoint(number):
    return Endpoint("default", f"r{number}", "eth1")


class Clock:
    now = 1_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def make(tmp_path, clock):
    """Start a daemon's identifiers on the same file, as after a restart or a reboot."""
    return lambda: Identifiers(tmp_path / "identifiers.json", clock)


def test_the_same_endpoint_has_the_same_one_for_ever(make, clock):
    first = make()
    given = {number: first.allocate(POOL, endpoint(number)) for number in range(100)}
    assert len(set(given.values())) == 100
    assert all(0 < identifier < SPACE for identifier in given.values())

    assert {number: first.allocate(POOL, endpoint(number)) for number in range(100)} == given
    clock.now += 1e9
    again = make()
    assert {number: again.allocate(POOL, endpoint(number)) for number in range(100)} == given


def test_pools_are_apart(make):
    ours = make()
    ours.allocate(POOL, endpoint(1))
    ours.allocate("other", endpoint(1))
    ours.release("other", endpoint(1))

    assert make().allocate(POOL, endpoint(1)) == ours.allocate(POOL, endpoint(1))


def test_one_starts_somewhere_at_random(tmp_path):
    starts = {Identifiers(tmp_path / f"{number}").allocate(POOL, endpoint(1)) for number in range(20)}
    assert len(starts) > 15


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setattr(identifiers, "SPACE", 4)


def test_one_given_back_rests_before_another_has_it(make, clock, tiny):
    ours = make()
    given = [ours.allocate(POOL, endpoint(number)) for number in range(3)]
    assert sorted(given) == [1, 2, 3]
    ours.release(POOL, endpoint(1))

    for instance in (ours, make()):
        clock.now += REST_S / 2 - 1
        with pytest.raises(LookupError, match="all 3"):
            instance.allocate(POOL, endpoint(9))
    clock.now += 3
    assert make().allocate(POOL, endpoint(9)) == given[1]


def test_giving_back_what_nobody_has_is_nothing(make):
    ours = make()
    ours.release(POOL, endpoint(1))
    ours.allocate(POOL, endpoint(1))
    ours.release(POOL, endpoint(2))
    ours.release(POOL, endpoint(1))
    ours.release(POOL, endpoint(1))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '{"vni": 3}', '{"vni": {"used": {}}}', '{"vni": {"used": [], "resting": 1}}']
)
def test_a_broken_file_is_set_aside_and_the_daemon_starts(tmp_path, text, caplog):
    """After a power cut the file may be empty: identifiers are chosen anew, and peers are told."""
    path = tmp_path / "identifiers.json"
    path.write_text(text)
    ours = Identifiers(path)

    assert 0 < ours.allocate(POOL, endpoint(1)) < SPACE
    assert path.with_suffix(".broken").read_text() == text
    assert str(path) in caplog.text
    assert set(json.loads(path.read_text())) == {POOL}
