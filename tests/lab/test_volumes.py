"""Volumes of pods, wherever they are mounted; nothing of that is seen on the machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.lab import machine
from tests.lab.topologies import pod, text

pytestmark = pytest.mark.lab


def told(lab, *mounts: dict[str, Any], script: str) -> str:
    """Return what a command prints in a pod with volumes, empty directories each."""
    names = dict.fromkeys(mount["name"] for mount in mounts)
    volumes = [{"name": name, "emptyDir": {}} for name in names]
    command = ("sh", "-c", f"{script}; echo end")
    one = pod("r1", *command, container={"volumeMounts": list(mounts)}, volumes=volumes, restartPolicy="Never")
    lab.ok("lab", "up", "-", stdin=text(one))
    machine.eventually(lambda: "code" in lab.ok("lab", "pods"), "the command does not end")
    return lab.ok("lab", "logs", "r1")


@pytest.mark.skipif(Path("/var/run").resolve() != Path("/run"), reason="no symbolic link here")
def test_volume_is_where_symbolic_links_of_its_path_lead_to(lab):
    mount = {"name": "v", "mountPath": "/var/run/new"}
    assert told(lab, mount, script="touch /run/new/x; ls /var/run; ls /var/run/new") == "hostname\nnew\nx\nend\n"


def test_volume_at_run_hides_none_of_the_others(lab):
    mounts = [{"name": name, "mountPath": path} for name, path in (("a", "/run"), ("b", "/run/b"), ("c", "/the-third"))]
    script = "touch /run/a /run/b/b /the-third/c; ls -A /run /run/b /the-third; ls -d /sys/kernel/mm"
    assert told(lab, *mounts, script=script) == ("/run:\na\nb\n\n/run/b:\nb\n\n/the-third:\nc\n/sys/kernel/mm\nend\n")
    assert not os.path.exists("/the-third")


def test_volume_at_sys_hides_none_of_the_others(lab):
    """As of a pod that shall see no hardware."""
    mounts = [{"name": name, "mountPath": path} for name, path in (("a", "/sys"), ("b", "/sys/b"), ("c", "/the-third"))]
    script = "touch /sys/a /sys/b/b /the-third/c; ls -A /sys /sys/b /the-third; ls -d /proc/fs/*"
    inside = "".join(f"{path}\n" for path in sorted(map(str, Path("/proc/fs").iterdir())))
    assert told(lab, *mounts, script=script) == f"/sys:\na\nb\n\n/sys/b:\nb\n\n/the-third:\nc\n{inside}end\n"


def test_directory_that_is_made_for_a_volume_in_a_volume_leaves_that_as_it_is(lab):
    mounts = [
        {"name": "outer", "mountPath": "/fixed", "readOnly": True},
        {"name": "inner", "mountPath": "/fixed/beside"},
        {"name": "outer", "mountPath": "/outer"},
        {"name": "inner", "mountPath": "/outer/inner"},
        {"name": "outer", "mountPath": "/same"},
    ]
    assert told(lab, *mounts, script="touch /outer/x /outer/inner/y; ls /same /fixed/beside") == (
        "/fixed/beside:\ny\n\n/same:\ninner\nx\nend\n"
    )


def test_sub_path_that_a_volume_has_not_is_a_directory_in_it(lab):
    mounts = [
        {"name": "v", "mountPath": "/whole"},
        {"name": "v", "mountPath": "/part", "subPath": "a/b"},
    ]
    script = "touch /part/x; ls /whole/a/b; stat -c %a /whole /whole/a /part"
    assert told(lab, *mounts, script=script) == "x\n777\n777\n777\nend\n"


def test_who_starts_a_lab_decides_on_no_files_mode(lab):
    before = os.umask(0o077)
    try:
        said = told(lab, {"name": "v", "mountPath": "/new/v"}, script="umask; stat -c %a /run/hostname /new /new/v")
    finally:
        os.umask(before)
    assert said == "0022\n644\n755\n777\nend\n"


def test_program_in_a_config_map_runs_by_the_mode_of_its_item(lab):
    data = {"run": "#!/bin/sh\nstat -c %a /v/run /v/other\n", "other": ""}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}
    items = [{"key": "run", "path": "run", "mode": 0o755}, {"key": "other", "path": "other"}]
    container = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    volumes = [{"name": "v", "configMap": {"name": "c", "items": items}}]
    one = pod("r1", "/v/run", container=container, volumes=volumes, restartPolicy="Never")
    lab.ok("lab", "up", "-", stdin=text(config, one))
    machine.eventually(lambda: "code" in lab.ok("lab", "pods"), "the command does not end")
    assert lab.ok("lab", "logs", "r1") == "755\n644\n"


@pytest.mark.parametrize("directory", ["/the-working/directory", "/run/directory", "/volume/directory", ""])
def test_working_directory_that_the_machine_has_not_is_made_for_the_pod(lab, directory):
    """As container runtimes do."""
    mounts = [{"name": "v", "mountPath": "/volume"}] if "volume" in directory else []
    container = {"workingDir": directory, "volumeMounts": mounts}
    volumes = [{"name": "v", "emptyDir": {}}]
    one = pod("r1", "sh", "-c", "pwd; exec sleep 1000", container=container, volumes=volumes)
    lab.ok("lab", "up", "-", stdin=text(one))
    machine.eventually(lambda: lab.ok("lab", "logs", "r1") == (directory or "/") + "\n", "it did not start there")
    if directory:
        assert lab.sh("r1", "touch x; ls $PWD") == "x"
        assert lab.sh("r1", "pwd") == directory
        assert not os.path.exists(directory)
