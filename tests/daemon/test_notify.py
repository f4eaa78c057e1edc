"""sd_notify."""

from __future__ import annotations

import os
import socket

import pytest

from meshnet.daemon.notify import notify


@pytest.mark.parametrize("abstract", [False, True])
def test_a_service_manager_is_told(tmp_path, monkeypatch, abstract):
    name = f"@meshnet-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        manager.settimeout(5)
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        notify("READY=1")
        assert manager.recv(100) == b"READY=1"


def test_without_one_nothing_happens(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")


def test_one_that_is_gone_does_not_end_the_daemon(monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")
    assert "NOTIFY_SOCKET" in caplog.text
