from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cni.daemon import Daemon, answer

if TYPE_CHECKING:
    from pathlib import Path


def ask(query: str, socket: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "meshnet", "daemon", "--ask", query]
    env = {**os.environ, "MESHNET_SOCKET": str(socket)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=30)


def test_what_the_daemon_answers_is_printed_as_it_is(tmp_path: Path) -> None:
    reply = {"node": "n1", "links": [{"mac": "é\n"}]}
    with Daemon(tmp_path / "socket", answer(json.dumps(reply).encode())) as daemon:
        done = ask("links", tmp_path / "socket")
    assert (done.returncode, json.loads(done.stdout), done.stderr) == (0, reply, "")
    assert daemon.seen[0].env == {"MESHNET_QUERY": "links"}


def test_a_daemon_that_will_not_or_is_not_there_is_an_error_in_a_line(tmp_path: Path) -> None:
    with Daemon(tmp_path / "socket", answer(b'{"error": "one of links"}', code=1)):
        done = ask("nonsense", tmp_path / "socket")
    assert (done.returncode, done.stdout) == (1, "")
    assert "one of links" in done.stderr
    done = ask("links", tmp_path / "socket")
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("heavy", ["asyncio", "attrs", "yaml", "pyroute2", "meshnet.daemon"])
def test_it_costs_a_pod_little(heavy: str, tmp_path: Path) -> None:
    script = (
        "import sys; from meshnet.cli.main import main\n"
        f"main(['daemon', '--ask', 'links'])\nsys.exit({heavy!r} in sys.modules)"
    )
    env = {**os.environ, "MESHNET_SOCKET": str(tmp_path / "none")}
    assert subprocess.run([sys.executable, "-c", script], env=env, check=False, capture_output=True).returncode == 0
