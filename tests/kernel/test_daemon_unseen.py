"""Pods whose namespace's path the daemon cannot see: what has ended, the kernel tells."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from meshnet.reconcile.passes import ALIVE_S
from tests.kernel.daemons import pair, topology
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.kernel.daemons import DaemonNode, PodBox

pytestmark = pytest.mark.kernel


@pytest.fixture
def unseen(node: DaemonNode, tmp_path: Path) -> Callable[[str], PodBox]:
    """Add a pod under a path that is gone when the plugin has ended, with the directory that it was in."""

    def add(name: str) -> PodBox:
        pod = node.pod(name)
        view = tmp_path / f"view-{name}"
        view.mkdir()
        (view / name).symlink_to(pod.netns)
        assert node.add(pod, netns=str(view / name)).done
        (view / name).unlink()
        view.rmdir()
        return pod

    return add


def sandboxes(node: DaemonNode) -> set[str]:
    return {row["pod"] for row in node.ask("sandboxes")["sandboxes"]}


@pytest.mark.parametrize("restart", [False, True], ids=["running", "restarted"])
def test_pods_that_live_stay_and_those_that_end_go(
    node: DaemonNode, unseen: Callable[[str], PodBox], restart: bool
) -> None:
    node.apply(*pair())
    r1, r2, nobody = unseen("r1"), unseen("r2"), unseen("nobody")
    assert eventually(r1.carrier)

    if restart:
        node.kill()
        node.start()
    time.sleep(ALIVE_S + 1)
    assert sandboxes(node) == {"r1", "r2", "nobody"}
    assert r1.carrier()
    assert len(node.ports()) == 2

    r2.end()
    nobody.end()
    assert eventually(lambda: sandboxes(node) == {"r1"})
    assert eventually(lambda: not r1.carrier())
    assert len(node.ports()) == 1


def test_a_daemon_that_sees_no_path_at_its_start_keeps_what_lives(
    node: DaemonNode, unseen: Callable[[str], PodBox]
) -> None:
    node.apply(*pair())
    r1, r2 = unseen("r1"), unseen("r2")
    assert eventually(r1.carrier)
    node.kill()
    r2.end()
    node.start()

    assert eventually(lambda: sandboxes(node) == {"r1"})
    assert set(r1.links()) == {"eth1"}


def test_a_link_that_needs_the_inside_says_restart_pod(node: DaemonNode, unseen: Callable[[str], PodBox]) -> None:
    one, other = pair()
    node.apply(topology("r1"), other)
    r1 = unseen("r1")
    node.apply(one)

    def reasons() -> list[str]:
        return [entry["reason"] for entry in node.status("r1").get("links") or ()]

    assert eventually(lambda: reasons() == ["RestartPod"], within=15)
    assert r1.links() == {}
