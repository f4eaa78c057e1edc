"""Lists are read as libcni reads them, and what it would refuse is refused, by name."""

from __future__ import annotations

import json
import os

import pytest

from meshnet.cni.install.lists import LONGEST, list_files, read_list
from meshnet.errors import InvalidObject

BRIDGE = {"cniVersion": "1.0.0", "name": "net", "type": "bridge", "bridge": "cni0"}
LIST = {"cniVersion": "1.0.0", "name": "net", "plugins": [{"type": "bridge"}]}


def test_the_order_and_the_names_are_those_of_a_runtime(tmp_path):
    names = ["20-b.conflist", "10-z.conf", "10-a.json", "9.conf", "A.conf", ".hidden.conf", "é.conf"]
    for name in [*names, "10-a.conf.bak", "x.cfg", "conf", "kubeconfig"]:
        (tmp_path / name).touch()
    (tmp_path / "00-dir.conf").mkdir()

    assert list_files(tmp_path) == [
        ".hidden.conf",
        "10-a.json",
        "10-z.conf",
        "20-b.conflist",
        "9.conf",
        "A.conf",
        "é.conf",
    ]


def test_a_link_is_a_file_whatever_it_points_to(tmp_path):
    (tmp_path / "dir").mkdir()
    (tmp_path / "a.conf").symlink_to("dir")

    assert list_files(tmp_path) == ["a.conf"]


def test_a_directory_is_no_list_and_is_not_kept_open(tmp_path):
    (tmp_path / "a.conf").symlink_to(tmp_path)
    before = os.listdir("/proc/self/fd")

    with pytest.raises(InvalidObject, match=r"a\.conf: type: a regular file"):
        read_list(tmp_path / "a.conf")

    assert os.listdir("/proc/self/fd") == before


def test_a_file_that_cannot_be_read_to_its_end_is_named(tmp_path):
    path = tmp_path / "a.conf"
    path.symlink_to("/proc/self/mem")  # its first bytes are nobody's

    with pytest.raises(OSError, match="Input/output error") as caught:
        read_list(path)

    assert caught.value.filename == str(path)


def test_a_list_stays_as_it_is(tmp_path):
    document = {**LIST, "disableCheck": True, "x": {"é": [1, 2.5, None]}}
    (tmp_path / "a.conflist").write_text(json.dumps(document))

    assert read_list(tmp_path / "a.conflist").document == document


@pytest.mark.parametrize("name", ["a.conf", "a.json"])
def test_a_single_configuration_is_a_list_of_one(tmp_path, name):
    (tmp_path / name).write_text(json.dumps(BRIDGE))

    assert read_list(tmp_path / name).document == {"cniVersion": "1.0.0", "name": "net", "plugins": [BRIDGE]}


def test_a_configuration_without_a_version_is_a_list_without_one(tmp_path):
    (tmp_path / "a.conf").write_text('{"name": "net", "type": "bridge"}')

    assert "cniVersion" not in read_list(tmp_path / "a.conf").document


WRONG = {
    "nothing": ("a.conflist", "", "content"),
    "half": ("a.conflist", json.dumps(LIST)[:-5], "content"),
    "array": ("a.conflist", "[]", "content"),
    "no plugins": ("a.conflist", json.dumps({"name": "net"}), "plugins: a list"),
    "empty plugins": ("a.conflist", json.dumps({**LIST, "plugins": []}), "plugins: []"),
    "plugin without type": ("a.conflist", json.dumps({**LIST, "plugins": [{"type": "a"}, {}]}), "plugins[1].type"),
    "plugin no object": ("a.conflist", json.dumps({**LIST, "plugins": ["bridge"]}), "plugins[0].type: 'bridge'"),
    "no name": ("a.conflist", json.dumps({**LIST, "name": ""}), "name: ''"),
    "version": ("a.conflist", json.dumps({**LIST, "cniVersion": "9.0.0"}), "cniVersion: '9.0.0'"),
    "version no text": ("a.conflist", json.dumps({**LIST, "cniVersion": 1}), "cniVersion: 1"),
    "a list in a .conf": ("a.conf", json.dumps(LIST), "a list belongs into a .conflist file"),
    "a configuration in a .conflist": ("a.conflist", json.dumps(BRIDGE), "plugins"),
    "too long": ("a.conf", " " * (LONGEST + 1), "size"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_named(tmp_path, case):
    name, text, told = WRONG[case]
    (tmp_path / name).write_text(text)

    with pytest.raises(InvalidObject) as caught:
        read_list(tmp_path / name)

    assert str(tmp_path / name) in str(caught.value)
    assert told in str(caught.value)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "a.conf")

    with pytest.raises(InvalidObject, match="a regular file"):
        read_list(tmp_path / "a.conf")
