"""The page on more drivers is true: a server takes its kustomization, and its init container brings a driver."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from meshnet import __version__
from tests.cluster.resources import MANIFESTS

if TYPE_CHECKING:
    from tests.cluster.machine.api_server import ApiServer

pytestmark = pytest.mark.cluster

ROOT = MANIFESTS.parent
PAGE = ROOT / "docs" / "kubernetes" / "drivers.md"
STRANGER = ROOT / "tests" / "testing" / "stranger"
WHEEL = "meshnet_wire-0.1.0-py3-none-any.whl"


@pytest.fixture(scope="module")
def mine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's directory: the page's kustomization, a driver's wheel, and a copy of ours."""
    directory = tmp_path_factory.mktemp("mine")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(directory), str(STRANGER)]
    subprocess.run(build, check=True, capture_output=True, timeout=120)
    (wheel,) = directory.glob("*.whl")
    (text,) = re.findall(r"^```yaml\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    (directory / "kustomization.yaml").write_text(text.replace(WHEEL, wheel.name))
    (directory / "manifests").symlink_to(MANIFESTS)
    return directory


def test_a_server_takes_the_kustomization(api_server: ApiServer, mine: Path) -> None:
    api_server.apply_directory(MANIFESTS / "base")

    done = api_server.try_kubectl("apply", "--dry-run=server", "--validate=strict", "-k", str(mine))

    assert (done.returncode, done.stderr) == (0, "")


def test_the_init_container_unpacks_what_the_daemon_loads(api_server: ApiServer, mine: Path, tmp_path: Path) -> None:
    objects = {each["kind"]: each for each in yaml.safe_load_all(api_server.kubectl("kustomize", str(mine)))}
    pod = objects["DaemonSet"]["spec"]["template"]["spec"]
    (volume,) = [each for each in pod["volumes"] if each["name"] == "wheels"]
    assert volume["configMap"]["name"] == objects["ConfigMap"]["metadata"]["name"]
    assert list(objects["ConfigMap"]["binaryData"]) == [path.name for path in mine.glob("*.whl")]
    (init,) = pod["initContainers"]
    assert init["image"] == pod["containers"][0]["image"] == f"meshnet:{__version__}"
    shell, option, script = init["command"]
    drivers = tmp_path / "drivers"
    drivers.mkdir()
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    script = script.replace("/wheels", str(mine)).replace("/drivers", str(drivers))
    subprocess.run([shell, option, script], check=True, timeout=60, env={**os.environ, "PATH": path})

    variables = {**os.environ, "PYTHONPATH": str(drivers)}
    listed = subprocess.run(
        [sys.executable, "-m", "meshnet", "drivers"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout

    assert "streamwire" in listed
