"""Every list that is made is read by a real libcni, which runs meshnet in it, last and with what came before."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from meshnet.cni.install.lists import read_list
from meshnet.cni.install.names import Places
from meshnet.cni.install.node import install
from tests.cni.install.conftest import GOLDEN

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.machine.binaries import Binaries

pytestmark = pytest.mark.cluster

NETWORKS = sorted(path.name for path in GOLDEN.iterdir())
PLUGIN = """#!/bin/sh
# Stands for any plugin: notes which it is and what it was given, and answers in the version that it was asked in.
given=$(cat)
printf '%s %s\\n' "${0##*/}" "$given" >>"${0%/*}/../called"
version=$(printf '%s' "$given" | sed -n 's/.*"cniVersion":"\\([^"]*\\)".*/\\1/p')
printf '{"cniVersion": "%s", "dns": {}}' "$version"
"""
# libcni remembers results below /var/lib
ALONE = 'mount -t tmpfs none /var/lib && exec "$0" "$@"'


@pytest.mark.parametrize("network", NETWORKS)
def test_libcni_runs_it(binaries: Binaries, tmp_path: Path, network: str) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root for a mount of its own")
    places = Places(tmp_path / "bin", tmp_path / "net.d")
    places.bin_dir.mkdir()
    shutil.copytree(GOLDEN / network / "net.d", places.conf_dir)
    install(places)
    made = read_list(places.list)
    kinds = [plugin["type"] for plugin in made.plugins]
    for kind in kinds:
        (places.bin_dir / kind).write_text(PLUGIN)
        (places.bin_dir / kind).chmod(0o755)

    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", ALONE, binaries.cnitool, "add", made.document["name"], "/proc/self/ns/net"],
        env={"PATH": os.environ["PATH"], "NETCONFPATH": str(places.conf_dir), "CNI_PATH": str(places.bin_dir)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )

    assert done.returncode == 0, done.stderr + done.stdout
    calls = [line.partition(" ") for line in (tmp_path / "called").read_text().splitlines()]
    assert [kind for kind, _, _ in calls] == kinds
    assert kinds[-1] == "meshnet"
    given = json.loads(calls[-1][2])
    assert (given["name"], given["cniVersion"]) == (made.document["name"], made.document["cniVersion"])
    assert "prevResult" in given
