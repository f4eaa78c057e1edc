"""What `scripts/own-records` leaves of the place that it makes for an ordinary user's labs."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.nobody import for_everybody, ordinary_user

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).parent.parent / "scripts" / "own-records"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory with own-records in it, and `tmp` where everybody may write."""
    with for_everybody(SCRIPT) as directory:
        (directory / "tmp").mkdir()
        (directory / "tmp").chmod(0o1777)
        yield directory


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_broken_off_leaves_nothing(shared: Path, ending: signal.Signals) -> None:
    # Whoever runs the tests may ignore some, as nohup does, and what is ignored at its start no shell can catch.
    own_records = ["env", "--default-signal", shared / SCRIPT.name]
    command = [*own_records, "sh", "-c", 'ls -d "$XDG_RUNTIME_DIR"; exec sleep 30']
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(shared / "tmp")}
    with subprocess.Popen(
        command, user=ordinary_user(), env=environ, cwd="/", stdout=subprocess.PIPE, start_new_session=True
    ) as run:
        assert run.stdout
        assert run.stdout.readline().startswith(f"{shared}/tmp/".encode())
        os.killpg(run.pid, ending)  # as a terminal does
        run.wait(20)

    assert run.returncode != 0
    assert list((shared / "tmp").iterdir()) == []
