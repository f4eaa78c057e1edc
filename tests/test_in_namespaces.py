"""Where `scripts/in-namespaces` has the files of an ordinary user's tests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = Path(__file__).parent.parent / "scripts" / "in-namespaces"
NOBODY = 65534
SOMEBODY = 65533


@pytest.fixture
def shared() -> Iterator[Path]:
    """A directory with in-namespaces in it, where everybody may write and nobody takes what is another's."""
    directory = Path(tempfile.mkdtemp(prefix="meshnet-test-"))
    try:
        directory.chmod(0o1777)
        shutil.copy(SCRIPT, directory)
        yield directory
    finally:
        shutil.rmtree(directory)


def run(shared: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command by in-namespaces, as a user that is not root."""
    if subprocess.run(["unshare", "--user", "true"], user=user(), check=False, capture_output=True).returncode != 0:
        pytest.skip("an ordinary user may make no user namespaces here")
    environ = {"PATH": os.environ["PATH"], "TMPDIR": str(shared)}
    script = shared / SCRIPT.name
    return subprocess.run(
        [script, *command], user=user(), env=environ, cwd="/", check=False, capture_output=True, text=True, timeout=20
    )


def user() -> int:
    return os.geteuid() or NOBODY


def test_only_the_user_reads_and_writes_the_files_of_its_tests(shared: Path) -> None:
    for _ in range(2):
        assert run(shared, "sh", "-c", 'ls -ld "$PYTEST_DEBUG_TEMPROOT"').stdout.startswith("drwx------ ")


def test_a_directory_that_another_user_has_made_for_the_tests_is_not_taken(shared: Path) -> None:
    made = shared / f"meshnet-tests-{user()}"
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
    assert ran.stderr.startswith(f"{made}: it must be a directory of uid {user()};")
