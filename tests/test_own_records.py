"""What `scripts/own-records` leaves of the place that it makes for an ordinary user's labs."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).parent.parent / "scripts" / "own-records"
NOBODY = 65534


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory with own-records in it, and `tmp` where everybody may write."""
    directory = Path(tempfile.mkdtemp(prefix="meshnet-test-"))
    try:
        directory.chmod(0o755)
        (directory / "tmp").mkdir()
        (directory / "tmp").chmod(0o1777)
        shutil.copy(SCRIPT, directory)
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_broken_off_leaves_nothing(shared: Path, ending: signal.Signals) -> None:
    # Whoever runs the tests may ignore some, as nohup does, and what is ignored at its start no shell can catch.
    own_records = ["env", "--default-signal", shared / SCRIPT.name]
    command = [*own_records, "sh", "-c", 'ls -d "$XDG_RUNTIME_DIR"; exec sleep 30']
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(shared / "tmp")}
    with subprocess.Popen(
        command, user=os.geteuid() or NOBODY, env=environ, cwd="/", stdout=subprocess.PIPE, start_new_session=True
    ) as run:
        assert run.stdout
        assert run.stdout.readline().startswith(f"{shared}/tmp/".encode())
        os.killpg(run.pid, ending)  # as a terminal does
        run.wait(20)

    assert run.returncode != 0
    assert list((shared / "tmp").iterdir()) == []
