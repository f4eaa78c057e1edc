"""Where `scripts/in-namespaces` has the files of an ordinary user's tests."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.nobody import for_everybody, ordinary_user

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).parent.parent / "scripts" / "in-namespaces"
SOMEBODY = 65533


@pytest.fixture
def shared() -> Iterator[Path]:
    with for_everybody(SCRIPT) as directory:
        yield directory


def run(shared: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command by in-namespaces, as a user that is not root."""
    if (
        subprocess.run(["unshare", "--user", "true"], user=ordinary_user(), check=False, capture_output=True).returncode
        != 0
    ):
        pytest.skip("an ordinary user may make no user namespaces here")
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(shared)}
    script = shared / SCRIPT.name
    return subprocess.run(
        [script, *command],
        user=ordinary_user(),
        env=environ,
        cwd="/",
        check=False,
        capture_output=True,
        text=True,
        timeout=20,
    )


def test_only_the_user_reads_and_writes_the_files_of_its_tests(shared: Path) -> None:
    for _ in range(2):
        assert run(shared, "sh", "-c", 'ls -ld "$PYTEST_DEBUG_TEMPROOT"').stdout.startswith("drwx------ ")


def test_a_directory_that_another_user_has_made_for_the_tests_is_not_taken(shared: Path) -> None:
    made = shared / f"meshnet-tests-{ordinary_user()}"
    if os.geteuid() == 0:
        made.mkdir()
        made.chmod(0o777)
        os.chown(made, SOMEBODY, SOMEBODY)
        refuses(shared, made)
        made.rmdir()
    (shared / "elsewhere").mkdir(mode=0o777)
    made.symlink_to(shared / "elsewhere")
    refuses(shared, made)


def refuses(shared: Path, made: Path) -> None:
    ran = run(shared, "true")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr.startswith(f"{made}: it must be a directory of uid {ordinary_user()};")
