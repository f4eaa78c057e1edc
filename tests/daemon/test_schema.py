from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from meshnet.daemon.schema import LONGEST_DELAY_S, tell_of_old_schemas
from meshnet.errors import StoreUnavailable
from tests.virtual_time import run

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import pytest


class Cluster:
    """Answers with complaints, after it was away for some tries."""

    def __init__(self, away: int, complaints: Sequence[str]) -> None:
        self.away = away
        self.complaints = complaints

    def node_owners(self, _: str) -> Any:
        raise AssertionError

    async def set_pod_condition(self, *_: Any) -> None:
        raise AssertionError

    async def schema_complaints(self) -> Sequence[str]:
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        return self.complaints


def test_an_old_schema_is_told_once_however_late_the_cluster_answers(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        async with asyncio.timeout(LONGEST_DELAY_S * 12):
            await tell_of_old_schemas(Cluster(12, ["CustomResourceDefinition x: is older"]))

    run(main())
    warned = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert warned == ["CustomResourceDefinition x: is older"]


def test_nothing_is_told_when_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    run(tell_of_old_schemas(Cluster(0, ())))

    assert caplog.records == []
