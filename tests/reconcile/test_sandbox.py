"""Entering a pod's namespace: what says that it is gone, and what says nothing of it."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from meshnet.errors import KernelError, RestartPod
from tests.reconcile.made import sandbox

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR])
def test_what_says_nothing_of_the_namespace_is_tried_again(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("meshnet.netlink.netns.os.open", refuse)
    with pytest.raises(KernelError) as caught, sandbox("r1").enter():
        pass
    assert caught.value.errno == number


@pytest.mark.parametrize("path", ["", "nothing", "file/below", "n" * 300, "loop"])
def test_a_path_that_leads_nowhere_wants_the_pod_anew(path: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "loop").symlink_to("loop")
    pod = sandbox("r1")
    pod.netns = path and str(tmp_path / path)
    with pytest.raises(RestartPod, match="cannot be entered again"), pod.enter():
        pass


def test_another_file_at_the_path_is_not_the_pods_namespace(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    pod = sandbox("r1")
    pod.netns = str(tmp_path / "file")
    with pytest.raises(RestartPod, match="another network namespace"), pod.enter():
        pass
