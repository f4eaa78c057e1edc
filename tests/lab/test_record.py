"""What stands outside a lab is believed only while its very process runs."""

from __future__ import annotations

import errno
import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from meshnet.errors import MeshnetError, UsageError
from meshnet.lab.record import LabRecords, check_name, start_time
from tests.lab.any_name import any_name
from tests.nobody import closed


@pytest.fixture
def records(tmp_path):
    return LabRecords(tmp_path / "meshnet" / "labs")


@pytest.fixture
def process():
    process = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


def test_record_is_found_and_forgotten_with_its_directories(records, process, tmp_path):
    record = records.create("one", process.pid)
    assert record.alive
    assert records.running() == [record]
    assert records.find(None) == records.find("one") == record
    records.forget(record)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("roots", "mode"), [(True, 0o755), (False, 0o700)])
def test_nobody_else_writes_into_the_directories_whatever_the_umask(
    records, process, tmp_path, monkeypatch, roots, mode
):
    """Under root's the daemon has its socket."""
    if roots:
        monkeypatch.setattr("meshnet.lab.record._ROOT_DIRECTORY", tmp_path / "meshnet")
    umask = os.umask(0)
    try:
        records.create("one", process.pid)
    finally:
        os.umask(umask)
    assert stat.S_IMODE((tmp_path / "meshnet").stat().st_mode) == mode
    assert stat.S_IMODE((tmp_path / "meshnet" / "labs").stat().st_mode) == 0o700


@pytest.mark.parametrize("offset_s", [100_000, -1])
def test_a_command_in_a_time_namespace_knows_and_keeps_the_labs_of_this_one(records, process, offset_s):
    record = records.create("one", process.pid)
    inside = ["unshare", "--user", "--map-current-user", "--time", "--boottime", str(offset_s), "--fork"]
    if subprocess.run([*inside, "true"], check=False, capture_output=True).returncode != 0:
        pytest.skip("no time namespaces here")
    code = (
        "import sys, pathlib; from meshnet.lab.record import LabRecords;"
        " print([each.name for each in LabRecords(pathlib.Path(sys.argv[1])).running()])"
    )
    ran = subprocess.run([*inside, sys.executable, "-c", code, records.directory], check=True, capture_output=True)

    assert ran.stdout == b"['one']\n"
    assert records.running() == [record]


@pytest.mark.parametrize(
    ("writable", "expected"),
    [
        (("/runtime", "/temporary"), "/runtime/meshnet/labs"),
        (("/temporary",), "/temporary/meshnet-1000/labs"),
        ((), "/tmp/meshnet-1000/labs"),
    ],
)
def test_users_records_are_in_the_first_directory_that_takes_files(monkeypatch, writable, expected):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda path, mode: path in writable)
    records = LabRecords.of_this_user({"XDG_RUNTIME_DIR": "/runtime", "TMPDIR": "/temporary"})
    assert str(records.directory) == expected


def test_same_name_twice_is_refused(records, process):
    records.create("one", process.pid)
    with pytest.raises(UsageError, match="it runs already"):
        records.create("one", process.pid)


def test_record_of_an_ended_process_is_removed(records, process, tmp_path):
    records.create("one", process.pid)
    process.kill()
    process.wait()
    assert records.running() == []
    assert list(tmp_path.iterdir()) == []


KILLED_WHILE_WRITING = """
import os, pathlib, signal, sys
from meshnet.lab.record import LabRecords
os.link = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
LabRecords(pathlib.Path(sys.argv[1])).create("two", os.getpid())
"""


def test_what_a_process_was_writing_when_it_was_killed_is_removed(records, tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_WRITING, records.directory], check=False)
    assert done.returncode == -signal.SIGKILL
    assert len(list(records.directory.iterdir())) == 1

    assert records.running() == []

    assert list(tmp_path.iterdir()) == []


def test_what_a_process_is_writing_is_kept(records, process, monkeypatch):
    link = os.link

    def link_when_somebody_has_looked(source, path):
        records.running()
        link(source, path)

    monkeypatch.setattr(os, "link", link_when_somebody_has_looked)
    assert records.running() == []
    assert records.create("one", process.pid).alive


def test_zombie_is_no_lab(records, process):
    record = records.create("one", process.pid)
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not record.alive


def test_another_process_with_that_pid_is_no_lab(records, process):
    record = records.create("one", process.pid)
    facts = json.loads(record.path.read_text())
    record.path.write_text(json.dumps({**facts, "started": facts["started"] - 1}))
    assert records.running() == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "null",
        '{"name": "x"}',
        "\0",
        '{"name": "x", "pid": 1e999, "started": 1, "user": 0}',
        pytest.param("[" * 100_000, id="deep"),
    ],
)
def test_unreadable_record_is_removed(records, process, text):
    record = records.create("one", process.pid)
    record.path.write_text(text)
    assert records.running() == []
    assert not record.path.exists()


def test_find_says_which_run(records, process):
    with pytest.raises(UsageError, match="no lab runs"):
        records.find(None)
    records.create("one", process.pid)
    records.create("two", process.pid)
    with pytest.raises(UsageError, match="one, two"):
        records.find(None)
    with pytest.raises(UsageError, match=r"'three'.*one, two"):
        records.find("three")


def test_directory_of_somebody_else_is_refused(records, process, tmp_path):
    target = tmp_path / "elsewhere"
    target.mkdir()
    (tmp_path / "meshnet").symlink_to(target)
    with pytest.raises(UsageError, match="must be a directory"):
        records.create("one", process.pid)


def test_records_that_somebody_else_wrote_are_not_believed(records, process, tmp_path, monkeypatch):
    """They could name any process of this user's, for `lab down` to end."""
    records.create("one", process.pid)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)

    told = "must be a directory of uid .*; XDG_RUNTIME_DIR or TMPDIR says where else"
    for look in (records.running, lambda: records.find("one"), lambda: records.create("two", process.pid)):
        with pytest.raises(UsageError, match=told):
            look()


def test_directory_that_cannot_be_written_is_named(tmp_path, process):
    (tmp_path / "file").write_text("")
    with pytest.raises(MeshnetError, match=r"'one': no record of it in .*file/labs: Not a directory"):
        LabRecords(tmp_path / "file" / "labs").create("one", process.pid)


def test_where_nobody_may_look_there_is_no_lab_and_none_begins(tmp_path, process):
    records = LabRecords(tmp_path / "shared" / "meshnet" / "labs")
    (tmp_path / "shared").mkdir()
    with closed(tmp_path / "shared"):
        assert records.running() == []
        with pytest.raises(MeshnetError, match=r"'one': no record of it in .*: Permission denied"):
            records.create("one", process.pid)


def test_directory_that_the_last_lab_took_away_is_made_again(records, process, tmp_path, monkeypatch):
    make = records._make_directory
    times = iter(range(9))

    def make_and_lose():
        make()
        if next(times) < 3:
            records.directory.rmdir()

    monkeypatch.setattr(LabRecords, "_make_directory", lambda _: make_and_lose())
    assert records.create("one", process.pid).alive


def without_descriptors(_path):
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@pytest.mark.parametrize("method", ["read_text", "read_bytes"])
def test_who_has_no_free_descriptor_forgets_no_lab(records, process, monkeypatch, method):
    record = records.create("one", process.pid)
    with monkeypatch.context() as patch:
        patch.setattr(Path, method, without_descriptors)
        with pytest.raises(MeshnetError, match=r"lab 'one': .*one\.json: Too many open files"):
            records.running()

    assert records.running() == [record]


def test_a_process_of_any_name_has_a_start_time():
    with any_name() as process:
        assert start_time(process.pid)


@pytest.mark.parametrize("name", ["", "../x", "a/b", "-x", "x" * 64, "a b", "a\n"])
def test_bad_names(name):
    with pytest.raises(UsageError, match="lab name"):
        check_name(name)


def test_start_time_of_nobody():
    assert start_time(os.getpid())
    assert start_time(2**22 + 1) is None
