from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cni.daemon import Daemon, answer, first

if TYPE_CHECKING:
    from pathlib import Path


def probe(what: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "meshnet", "daemon", "--probe", what]
    env = {"MESHNET_RUN_DIR": str(tmp_path)}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=30)


@pytest.mark.parametrize(
    ("what", "synced", "code"), [("live", True, 0), ("live", False, 0), ("ready", True, 0), ("ready", False, 1)]
)
def test_a_daemon_that_answers_is_live_and_is_ready_once_it_has_read_its_store(
    what: str, synced: bool, code: int, tmp_path: Path
) -> None:
    health = json.dumps({"node": "n1", "synced": synced}).encode()
    with Daemon(tmp_path / "meshnetd.sock", answer(health)) as daemon:
        done = probe(what, tmp_path)

    assert done.returncode == code, done.stderr
    assert daemon.seen[0].env == {"MESHNET_QUERY": "health"}
    assert ("not read" in done.stdout) == bool(code)


def test_ready_waits_for_a_daemon_that_is_about_to_be(tmp_path: Path) -> None:
    not_yet, synced = (json.dumps({"node": "n1", "synced": value}).encode() for value in (False, True))
    with Daemon(tmp_path / "meshnetd.sock", first(3, answer(not_yet), answer(synced))) as daemon:
        done = probe("ready", tmp_path)

    assert done.returncode == 0, done.stdout
    assert daemon.calls == 4


@pytest.mark.parametrize(
    ("setting", "socket"), [("MESHNET_SOCKET={}/socket", "socket"), ("MESHNET_RUN_DIR={}", "meshnetd.sock")]
)
@pytest.mark.parametrize("words", [("--probe", "ready"), ("--ask", "health")])
def test_a_daemon_that_a_file_configures_is_found_by_that_file(
    words: tuple[str, ...], setting: str, socket: str, tmp_path: Path
) -> None:
    (tmp_path / "conf").write_text(setting.format(tmp_path))
    command = [sys.executable, "-m", "meshnet", "daemon", "--config", str(tmp_path / "conf"), *words]
    with Daemon(tmp_path / socket, answer(b'{"node": "n1", "synced": true}')):
        done = subprocess.run(command, env={}, capture_output=True, text=True, check=False, timeout=30)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("what", ["live", "ready"])
def test_a_daemon_that_does_not_answer_is_neither(what: str, tmp_path: Path) -> None:
    done = probe(what, tmp_path)

    assert done.returncode == 3
    assert "meshnetd.sock: No such file" in done.stderr
