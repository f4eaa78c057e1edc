from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from meshnet.errors import MeshnetError
from meshnet.lab.box import make_box
from meshnet.lab.launch import end
from meshnet.lab.record import LabRecords
from tests.lab.conftest import unique_name

if TYPE_CHECKING:
    from pathlib import Path

    from meshnet.lab.channel import Channel


@pytest.mark.lab
@pytest.mark.parametrize(
    ("error", "told"),
    [(MeshnetError("no room"), "no room"), (RuntimeError("no thread"), "RuntimeError('no thread')")],
)
def test_what_a_task_of_the_supervisor_could_not_do_is_told_without_its_group(
    tmp_path: Path, error: Exception, told: str
) -> None:
    def first(channel: Channel) -> None:
        raise ExceptionGroup("unhandled errors in a TaskGroup", [error])

    records = LabRecords(tmp_path / "meshnet" / "labs")
    box = make_box(unique_name(), records, first)
    with box.channel:
        assert box.channel.receive()["error"] == told
    end(box.record, records)
