"""How the loss-free rate is found, and what counts as loss."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from benchmarks.traffic import FASTEST_KPPS, SLOWEST_KPPS, STEP, Rates, highest, unpaced
from meshnet.testing.node import Namespace

CONGESTION = Path("/proc/sys/net/ipv4/tcp_congestion_control")


@pytest.mark.parametrize("begin", [1.0, 20.0, 69.0, 71.0, 400.0])
def test_the_rate_found_passes_and_the_next_half_step_does_not(begin: float) -> None:
    found = highest(lambda kpps: kpps <= 70, begin)
    assert found <= 70 < found * STEP


def test_the_search_ends_when_everything_passes_and_when_nothing_does() -> None:
    assert FASTEST_KPPS / STEP <= highest(lambda _: True, 5.0) <= FASTEST_KPPS * STEP**1.5
    assert highest(lambda _: False, 5.0) <= SLOWEST_KPPS


@pytest.mark.parametrize(
    ("lost", "tail_s", "whole"), [(0, 0, True), (0.001, 0.05, True), (0.002, 0, False), (0, 0.06, False)]
)
def test_what_is_late_is_lost(lost: float, tail_s: float, whole: bool) -> None:
    assert Rates(received=1, sent=1, lost=lost, tail_s=tail_s).whole is whole


@pytest.mark.kernel
def test_streams_of_a_namespace_begin_unpaced_whatever_the_machine_has() -> None:
    before = CONGESTION.read_text()

    with closing(Namespace("bench")) as namespace:
        command = unpaced(f"/proc/self/fd/{namespace.fd}", "cat", str(CONGESTION))
        said = subprocess.run(command, capture_output=True, text=True, check=True, pass_fds=[namespace.fd])

    assert said.stdout == "reno\n"
    assert CONGESTION.read_text() == before
