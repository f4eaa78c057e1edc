"""What bench_cluster takes for the processor time of nodes: the sum of their control groups, of either version."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def cluster_cpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, which finds its neighbours as a benchmark does: by the directory of the program."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return importlib.import_module("cluster_cpu")


def test_one_hierarchy_of_version_1_counts(cluster_cpu: Any, tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("nr_periods 0\nnr_throttled 0\nthrottled_time 0\n")
    assert cluster_cpu.of_group(tmp_path) == 0
    (tmp_path / "cpuacct.usage").write_text("2500000000\n")
    assert cluster_cpu.of_group(tmp_path) == 2.5


def test_version_2_counts(cluster_cpu: Any, tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\n")
    assert cluster_cpu.of_group(tmp_path) == 2.5


def test_a_group_that_counts_nothing_adds_nothing(cluster_cpu: Any, tmp_path: Path) -> None:
    assert cluster_cpu.of_group(tmp_path / "gone") == 0
