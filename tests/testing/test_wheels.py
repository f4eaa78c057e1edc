"""The drivers pass the kit as users have them: from installed wheels, with nothing of the checkout in sight."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DRIVERS = {driver: f"meshnet_{driver}" for driver in ("veth", "macvlan", "vxlan", "grpcwire")}
LIMIT_S = 300


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Core and drivers, installed from wheels into a directory of their own."""
    work = tmp_path_factory.mktemp("wheels")
    projects = [ROOT, *(ROOT / "plugins" / driver for driver in DRIVERS)]
    for project in projects:
        run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", work, project], cwd=work)
    wheels = sorted(work.glob("*.whl"))

    assert len(wheels) == len(projects)

    run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", work / "site", *wheels], cwd=work)
    return work / "site"


@pytest.mark.kernel
@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("driver", DRIVERS)
def test_a_driver_passes_the_kit_from_its_wheel(driver: str, site: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "plugins" / driver / "tests", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    # First in the path: before what an editable installation of the same distributions adds to it.
    where = "import sys, {0}, meshnet; print({0}.__file__, meshnet.__file__)".format(DRIVERS[driver])
    environment = {**os.environ, "PYTHONPATH": str(site)}
    for line in run([sys.executable, "-c", where], cwd=tmp_path, env=environment).split():
        assert Path(line).is_relative_to(site)

    report = run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"], cwd=tmp_path, env=environment
    )

    assert " passed" in report.splitlines()[-1]


def run(command: list[str | Path], *, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Return what a command prints, or fail with all of it."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
