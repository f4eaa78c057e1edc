"""What tests look at in a lab's box is the lab's, wherever the lab was started."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import attrs
import pytest

from tests.lab.scenarios.wiring import Cable, network, write

if TYPE_CHECKING:
    from pathlib import Path

    from tests.lab.scenarios.lab import Lab


@pytest.mark.skipif(os.geteuid() != 0, reason="another root directory needs root")
def test_the_box_of_a_lab_in_a_chroot_has_another_root(lab: Lab, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    entered = f'mount --rbind / {root} && exec chroot {root} "$@"'
    unshared = ("unshare", "--mount", "--propagation", "private", "sh", "-c", entered, "sh")
    chrooted = attrs.evolve(lab, command=(*unshared, *lab.command))

    chrooted.up(write(tmp_path / "lab.yml", network([Cable(1, "r1:eth1", "r2:eth1")])))

    assert "n1" in lab.in_box("ls /run/netns").split()
