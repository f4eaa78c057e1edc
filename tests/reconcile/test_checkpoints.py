"""Checkpoints: what is written is read again, whatever is in the directory beside it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import attrs
import pytest

from meshnet.reconcile.checkpoints import Checkpoints
from meshnet.reconcile.end import Applied
from meshnet.reconcile.sandbox import SandboxKey
from tests.reconcile.made import end, sandbox


def as_saved(box):
    fields = attrs.asdict(box, recurse=False, filter=lambda attribute, _: attribute.name not in ("ends", "handed"))
    ends = {name: (each.endpoint, each.applied, each.interface) for name, each in box.ends.items()}
    return fields, ends


@pytest.fixture
def checkpoints(tmp_path):
    return Checkpoints(tmp_path / "sandboxes")


def test_a_round_trip(checkpoints):
    box = sandbox("r1", epoch=7, nsid=3)
    box.claimed = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
    end(box, "eth1", "r2:eth1", ifindex=5).applied = Applied(
        9, "02:00:00:00:00:07", 9000, ("10.0.0.1/24", "fd00::1/64")
    )
    direct = end(box, "net1", "localhost:eth0")
    direct.applied, direct.interface = Applied(10, "02:00:00:00:00:08", 1500, (), "macvlan"), 12
    other = sandbox("", "no-pod", nsid=4)
    for each in (box, other):
        checkpoints.save(each)

    loaded = {each.key: each for each in checkpoints.load()}

    assert {key: as_saved(each) for key, each in loaded.items()} == {
        box.key: as_saved(box),
        other.key: as_saved(other),
    }
    assert all(each.handed is None for each in loaded.values())
    assert all(made.sandbox is each for each in loaded.values() for made in each.ends.values())


def test_saving_again_replaces_and_removing_removes(checkpoints):
    box = sandbox("r1", epoch=1)
    checkpoints.save(box)
    box.epoch = 2
    checkpoints.save(box)

    (loaded,) = checkpoints.load()
    assert loaded.epoch == 2
    checkpoints.remove(box.key)
    checkpoints.remove(box.key)
    assert checkpoints.load() == []


def test_names_from_outside_never_reach_a_path(checkpoints, tmp_path):
    keys = [
        SandboxKey("mesh", "../../../etc/passwd", "eth0"),
        SandboxKey("mesh", "c" * 200, "eth0"),
        SandboxKey("a/b", "c", "eth0"),
        SandboxKey("a", "b/c", "eth0"),
        SandboxKey("mesh", "c1", "eth0"),
        SandboxKey("mesh", "c1", "eth1"),
    ]
    for key in keys:
        box = sandbox("r1")
        box.key = key
        checkpoints.save(box)

    assert {each.key for each in checkpoints.load()} == set(keys)
    assert os.listdir(tmp_path) == ["sandboxes"]
    assert len(os.listdir(tmp_path / "sandboxes")) == len(keys)
    for name in os.listdir(tmp_path / "sandboxes"):
        assert oct(os.stat(tmp_path / "sandboxes" / name).st_mode & 0o777) == "0o600"
    assert oct(os.stat(tmp_path / "sandboxes").st_mode & 0o777) == "0o700"


GOOD = {
    "version": 1,
    "key": ["mesh", "c1", "eth0"],
    "namespace": "default",
    "pod": "r1",
    "pod_uid": "",
    "netns": "/run/netns/c1",
    "netns_id": [4, 5],
    "nsid": 3,
    "epoch": 1,
    "ends": {},
}
GOOD_END = {"uid": 1, "mac": "02:00:00:00:00:07", "mtu": 1500, "addresses": [], "driver": "", "interface": 0}


def with_end(**fields):
    return GOOD | {"ends": {"eth1": GOOD_END | fields}}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "\xff",
        json.dumps({key: value for key, value in GOOD.items() if key != "key"}),
        json.dumps(GOOD | {"key": ["mesh"]}),
        json.dumps(GOOD | {"key": "abc" * 3}),
        json.dumps(GOOD | {"netns_id": [4]}),
        json.dumps(GOOD | {"netns_id": None}),
        json.dumps(GOOD | {"nsid": "x"}),
        json.dumps(GOOD | {"ends": []}),
        json.dumps(GOOD | {"ends": {"eth1": None}}),
        json.dumps(GOOD | {"ends": {"eth1": {"uid": 1}}}),
        json.dumps(GOOD | {"key": [1, 2, 3]}),
        json.dumps(GOOD | {"pod": 5}),
        json.dumps(GOOD | {"netns": "/run/\0"}),
        json.dumps(GOOD | {"epoch": float("inf")}),
        json.dumps(GOOD | {"epoch": 10**30}),
        json.dumps(GOOD | {"nsid": 10**30}),
        json.dumps(GOOD | {"nsid": 1.5}),
        json.dumps(GOOD | {"pod": "\ud800"}),
        json.dumps(GOOD | {"key": ["mesh", "\udc80", "eth0"]}),
        json.dumps(GOOD | {"netns": "/run/\ud800"}),
        json.dumps(GOOD | {"ends": {"\ud800": GOOD_END}}),
        json.dumps(with_end(mac=None)),
        json.dumps(with_end(mtu=-1)),
        json.dumps(with_end(addresses=["10.0.0.1/24", 5])),
        json.dumps(with_end(addresses=["10.0.0.1"])),
        json.dumps(with_end(driver={})),
        json.dumps(with_end(interface=1 << 31)),
        json.dumps(with_end(joint=["default", "r2", "eth1", -1])),
        "[" * 100_000,
    ],
)
def test_a_file_that_cannot_be_read_is_set_aside_and_the_others_are_read(checkpoints, tmp_path, text, caplog):
    checkpoints.save(sandbox("r1"))
    broken = tmp_path / "sandboxes" / "broken.json"
    broken.write_text(text, encoding="latin-1")

    assert [each.pod for each in checkpoints.load()] == ["r1"]
    assert not broken.exists()
    assert (tmp_path / "sandboxes" / "broken.broken").read_text(encoding="latin-1") == text
    assert "broken.json" in caplog.text
    assert [each.pod for each in checkpoints.load()] == ["r1"]


def test_the_good_one_of_these_is_good(checkpoints, tmp_path):
    (tmp_path / "sandboxes" / "any.json").write_text(json.dumps(with_end() | {"netns": "/run/\udc80"}))
    (loaded,) = checkpoints.load()
    assert loaded.key == SandboxKey("mesh", "c1", "eth0")
    assert loaded.claimed is None  # an older daemon's, which did not write of it


@pytest.mark.parametrize("version", [0, 2, "3-beta"])
def test_what_a_daemon_of_another_version_wrote_is_read_as_far_as_it_is_known(checkpoints, tmp_path, version):
    text = json.dumps(GOOD | {"version": version, "since": {"then": "added"}})
    (tmp_path / "sandboxes" / "any.json").write_text(text)
    (loaded,) = checkpoints.load()
    assert (loaded.pod, loaded.netns_id) == ("r1", (4, 5))


@pytest.mark.parametrize("name", ["0-copy.json", "z-copy.json"])
def test_a_copy_beside_it_makes_no_second_sandbox(checkpoints, tmp_path, name, caplog):
    checkpoints.save(sandbox("r1"))
    (own,) = (tmp_path / "sandboxes").iterdir()
    (tmp_path / "sandboxes" / name).write_bytes(own.read_bytes())
    assert [each.pod for each in checkpoints.load()] == ["r1"]
    assert own.exists()
    assert f"{name} cannot be read and is set aside" in caplog.text
    assert f"it is of the same sandbox as {own.name}" in caplog.text


def test_what_a_killed_daemon_was_writing_is_not_read(checkpoints, tmp_path):
    checkpoints.save(sandbox("r1"))
    (tmp_path / "sandboxes" / "half.new").write_text('{"version": 1, "key"')
    assert len(checkpoints.load()) == 1
    assert not (tmp_path / "sandboxes" / "half.new").exists()


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere")], ids=["directory", "nothing"])
def test_what_is_no_file_costs_no_other_sandbox_its_place(checkpoints, tmp_path, make, caplog):
    checkpoints.save(sandbox("r1"))
    make(tmp_path / "sandboxes" / "broken.json")
    for _ in range(2):
        assert [each.pod for each in checkpoints.load()] == ["r1"]
    assert caplog.text.count("broken.json cannot be read") == 1


def test_a_daemon_that_can_read_nothing_just_now_forgets_no_sandbox(checkpoints, monkeypatch):
    checkpoints.save(sandbox("r1"))

    def refuse(_):
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.read_bytes", refuse)
        with pytest.raises(OSError, match="Too many open files"):
            checkpoints.load()
    assert [each.pod for each in checkpoints.load()] == ["r1"]


def test_one_that_cannot_be_removed_is_when_that_can_be_done(checkpoints, tmp_path, monkeypatch, caplog):
    gone, back, other = sandbox("r1"), sandbox("r2"), sandbox("r3")
    for each in (gone, back, other):
        checkpoints.save(each)

    def refused(*_, **__):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refused)
        checkpoints.remove(gone.key)
        checkpoints.remove(back.key)
    assert "cannot be removed yet" in caplog.text
    checkpoints.save(back)  # added again meanwhile

    checkpoints.catch_up([back, other])

    assert {each.key for each in checkpoints.load()} == {back.key, other.key}


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE])
def test_a_directory_that_cannot_be_listed_is_not_an_empty_one(checkpoints, monkeypatch, number):
    checkpoints.save(sandbox("r1"))

    def refused(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "listdir", refused)
    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(OSError, match=os.strerror(number)):
        checkpoints.load()
