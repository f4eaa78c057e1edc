"""The drivers pass the kit as users have them: from installed wheels, with nothing of the checkout in sight."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = [*sorted((ROOT / "plugins").iterdir()), Path(__file__).parent / "stranger"]
DRIVERS = {project.name: package.name for project in PROJECTS for package in project.glob("meshnet_*")}
LIMIT_S = 500


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Core and drivers, a stranger's among them, installed from wheels into a directory of their own."""
    work = tmp_path_factory.mktemp("wheels")
    projects = [ROOT, *PROJECTS]
    for project in projects:
        run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", work, project], cwd=work)
    wheels = sorted(work.glob("*.whl"))

    assert len(wheels) == len(projects)

    run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", work / "site", *wheels], cwd=work)
    return work / "site"


@pytest.fixture
def environment(site: Path) -> dict[str, str]:
    # First in the path: before what an editable installation of the same distributions adds to it.
    return {**os.environ, "PYTHONPATH": str(site)}


@pytest.mark.kernel
@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
@pytest.mark.parametrize("project", PROJECTS, ids=lambda project: project.name)
def test_a_driver_passes_the_kit_from_its_wheel(
    project: Path, site: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    shutil.copytree(project / "tests", tmp_path / "tests")
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    where = "import sys, {0}, meshnet; print({0}.__file__, meshnet.__file__)".format(DRIVERS[project.name])
    for line in run([sys.executable, "-c", where], cwd=tmp_path, env=environment).split():
        assert Path(line).is_relative_to(site)

    proofs = [path for path in sorted((tmp_path / "tests").glob("test_*.py")) if "DriverTests" in path.read_text()]
    report = run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *proofs], cwd=tmp_path, env=environment
    )

    assert proofs
    assert " passed" in report.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
def test_a_strangers_drivers_are_loaded_as_ours_are(site: Path, environment: dict[str, str], tmp_path: Path) -> None:
    script = "from meshnet.driver.registry import Registry; print(*(e.name for e in Registry.load().entries()))"

    loaded = run([sys.executable, "-c", script], cwd=tmp_path, env=environment).split()

    assert {"udpwire", "streamwire"} < set(loaded)
    assert len(loaded) == len(set(loaded))


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
def test_a_type_checker_knows_the_contract_from_the_wheel(environment: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(ROOT / "plugins/veth/meshnet_veth", tmp_path / "meshnet_veth")

    report = run([sys.executable, "-m", "mypy", "--strict", "meshnet_veth"], cwd=tmp_path, env=environment)

    assert report.startswith("Success")


@pytest.mark.slow
@pytest.mark.timeout(LIMIT_S)
def test_whoever_gets_a_distribution_gets_its_licence(site: Path) -> None:
    ours = [info for info in site.glob("meshnet_*.dist-info") if "stranger" not in info.name]

    assert len(ours) == len(PROJECTS)  # with core, without the stranger
    for info in ours:
        assert (info / "licenses/LICENSE").read_text() == (ROOT / "LICENSE").read_text(), info.name


def test_a_stranger_imports_what_is_public() -> None:
    public = {"meshnet.driver", "meshnet.testing.drivers"}
    for path in (Path(__file__).parent / "stranger").rglob("*.py"):
        named = re.findall(r"^\s*(?:from|import) (meshnet\.[\w.]+)", path.read_text(), re.MULTILINE)
        assert public.issuperset(named), path


def run(command: list[str | Path], *, cwd: Path, env: dict[str, str] | None = None) -> str:
    """Return what a command prints, or fail with all of it."""
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
