"""The condition that pods with a readiness gate wait for, in virtual time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from meshnet.errors import InvalidObject, NotFound, StoreUnavailable
from meshnet.model.resource import Kind
from meshnet.reconcile.gate import CONDITION, LONGEST_DELAY_S, ReadinessGate
from meshnet.reconcile.publish import PAUSE_S
from tests.reconcile.room import R1, room, sandbox
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


class Cluster:
    """Takes conditions of pods, or answers with the next of `errors`."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.written: list[tuple[str, str]] = []
        self.untimed: list[str] = []
        self.tries = 0

    async def set_pod_condition(self, namespace: str, pod: str, pod_uid: str, condition: Mapping[str, Any]) -> None:
        self.tries += 1
        await asyncio.sleep(0.01)
        if self.errors:
            raise self.errors.pop(0)
        assert condition["type"] == CONDITION
        self.written.append((f"{namespace}/{pod}", condition["status"]))
        if "lastTransitionTime" not in condition:
            self.untimed.append(condition["reason"])


def status(ready: str, reason: str = "x") -> dict[str, Any]:
    other = {"type": "Other", "status": "False"}
    row = {"type": "Ready", "status": ready, "reason": reason, "message": "m", "lastTransitionTime": "t"}
    return {"conditions": [other, {**row, "observedGeneration": 1}]}


def test_a_pod_is_told_once_and_again_when_it_changes() -> None:
    async def main() -> None:
        cluster = Cluster()
        gate, r1 = ReadinessGate(cluster), sandbox("r1")
        for told in (status("False"), status("False", "y"), status("True"), status("True", "z"), status("False")):
            gate.tell(r1, told)
            await asyncio.sleep(1)
        assert cluster.written == [("default/r1", "False"), ("default/r1", "True"), ("default/r1", "False")]

    run(main())


def test_a_failure_that_nobody_expected_does_not_end_it() -> None:
    async def main() -> None:
        cluster = Cluster(RuntimeError("on purpose"))
        gate, r1 = ReadinessGate(cluster), sandbox("r1")
        gate.tell(r1, status("False"))
        await asyncio.sleep(1)
        gate.tell(r1, status("True"))
        await asyncio.sleep(1)
        assert cluster.written == [("default/r1", "True")]

    run(main())


def test_what_changes_while_it_is_written_is_written_too() -> None:
    async def main() -> None:
        cluster = Cluster()
        gate, r1 = ReadinessGate(cluster), sandbox("r1")
        gate.tell(r1, status("False"))
        await asyncio.sleep(0.005)
        gate.tell(r1, status("True"))
        await asyncio.sleep(1)
        assert [state for _, state in cluster.written] == ["False", "True"]

    run(main())


def test_a_cluster_that_is_away_is_asked_again_and_gets_the_last_word() -> None:
    async def main() -> None:
        cluster = Cluster(*[StoreUnavailable("away")] * 9)
        gate, r1 = ReadinessGate(cluster), sandbox("r1")
        gate.tell(r1, status("False"))
        await asyncio.sleep(LONGEST_DELAY_S)
        gate.tell(r1, status("True"))
        await asyncio.sleep(LONGEST_DELAY_S * 9)
        assert cluster.written == [("default/r1", "True")]
        assert cluster.tries == 10

    run(main())


@pytest.mark.parametrize("answer", [NotFound("no such pod"), InvalidObject("Pod default/r1", [])])
def test_a_pod_that_is_gone_is_let_go(answer: Exception) -> None:
    async def main() -> None:
        cluster = Cluster(answer)
        gate, r1 = ReadinessGate(cluster), sandbox("r1")
        gate.tell(r1, status("True"))
        await asyncio.sleep(LONGEST_DELAY_S * 2)
        assert cluster.tries == 1

    run(main())


def test_nothing_is_written_about_a_sandbox_that_is_gone() -> None:
    async def main() -> None:
        cluster = Cluster(*[StoreUnavailable("away")] * 99)
        gate = ReadinessGate(cluster)
        old, new = sandbox("r1"), sandbox("r1")
        gate.tell(old, status("True"))
        gate.tell(new, status("True"))
        await asyncio.sleep(0.1)
        gate.forget(old)
        await asyncio.sleep(LONGEST_DELAY_S * 4)
        tries = cluster.tries
        assert tries > 2
        gate.close()
        await asyncio.sleep(LONGEST_DELAY_S * 4)
        assert cluster.tries == tries

    run(main())


def test_a_pod_whose_topology_is_deleted_is_not_ready_any_more(tmp_path: Path) -> None:
    """Whoever never had one is told nothing."""

    async def main() -> None:
        cluster = Cluster()
        async with room(tmp_path, gate=ReadinessGate(cluster)) as here:
            await here.declare()
            await here.come("r1")
            await here.come("other")
            await asyncio.sleep(PAUSE_S * 2)
            assert cluster.written == [("default/r1", "True")]

            await here.store.delete(Kind.TOPOLOGY, *R1)
            await asyncio.sleep(PAUSE_S * 2)
            assert cluster.written[1:] == [("default/r1", "False")]
            assert cluster.untimed == ["TopologyMissing"]  # a daemon that was started since does not know when that was

            await here.declare()
            await asyncio.sleep(PAUSE_S * 2)
            assert cluster.written[2:] == [("default/r1", "True")]

    run(main())


def test_before_the_store_has_told_its_topologies_none_counts_as_deleted(tmp_path: Path) -> None:
    async def main() -> None:
        cluster = Cluster()
        async with room(tmp_path, gate=ReadinessGate(cluster)) as here:
            here.cache.synced.clear()
            box = sandbox("r1")
            box.claimed = "u"
            here.table.add(box)
            here.publisher.changed(box)
            await asyncio.sleep(PAUSE_S * 2)
            assert cluster.written == []

    run(main())


def test_what_an_older_sandbox_could_not_tell_is_not_told_after_what_its_successor_did(tmp_path: Path) -> None:
    async def main() -> None:
        cluster = Cluster(StoreUnavailable("away"))
        async with room(tmp_path, gate=ReadinessGate(cluster)) as here:
            await here.declare()
            await here.add(sandbox("r1"))
            await here.declare("eth1")
            await here.add(sandbox("r1", "newer"))
            await asyncio.sleep(PAUSE_S * 2)
            assert cluster.written == [("default/r1", "False")]

    run(main())
