"""What status says of each state."""

from __future__ import annotations

import pytest

from meshnet.cni.install.inspect import inspect
from meshnet.cni.install.names import OLD_LINK_TYPE, Places
from meshnet.cni.install.node import install
from tests.cni.install.conftest import flannel, write


def states(places):
    return {part.part: part.state for part in inspect(places)}


def test_before_and_after(places):
    assert states(places) == {"plugin": "missing", "list": "missing"}
    install(places)
    assert states(places) == {"plugin": "installed", "list": "installed"}


def outdated_list(places):
    write(places.conf_dir / "10-flannel.conflist", flannel(name="other"))


def open_list(places):
    places.list.chmod(0o644)


def other_version(places):
    places.plugin.write_bytes(places.plugin.read_bytes() + b"\0")


def another_program(places):
    places.plugin.write_bytes(b"\x7fELF")


def hidden(places):
    write(places.conf_dir / "00-a.conflist", flannel())


def no_primary(places):
    (places.conf_dir / "10-flannel.conflist").unlink()


@pytest.mark.parametrize(
    ("change", "part", "state", "told"),
    [
        (outdated_list, "list", "outdated", "10-flannel.conflist has changed"),
        (open_list, "list", "outdated", "merges it again"),
        (other_version, "plugin", "outdated", "another version"),
        (another_program, "plugin", "failed", "another program"),
        (hidden, "list", "failed", "00-a.conflist sorts before"),
        (no_primary, "list", "failed", "no network list there but meshnet's own"),
    ],
)
def test_what_is_wrong_is_told(places, change, part, state, told):
    install(places)
    change(places)

    (found,) = [one for one in inspect(places) if one.part == part]

    assert found.state == state
    assert told in found.message


def test_a_command_that_has_no_plugin_itself_tells_of_the_list_all_the_same(places, monkeypatch, tmp_path):
    install(places)
    (tmp_path / "file").touch()
    monkeypatch.setattr("meshnet.cni.plugin.PROGRAM", tmp_path / "file" / "bin" / "meshnet")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))

    plugin, found = inspect(places)

    assert (plugin.state, found.state) == ("failed", "installed")
    assert plugin.message.startswith("CNI plugin: cannot write the script: ")


def test_a_users_own_list_is_named(places):
    write(places.conf_dir / "10-flannel.conflist", flannel(plugins=[{"type": "meshnet"}]))
    install(places)

    found = inspect(places)[1]

    assert (found.state, found.path) == ("chained", str(places.conf_dir / "10-flannel.conflist"))


def test_remarks_are_no_failures(places):
    install(places)
    write(places.conf_dir / OLD_LINK_TYPE, "GRPC")

    assert [(part.part, part.state) for part in inspect(places)][2] == ("list", "remark")


def test_a_directory_that_is_not_there(tmp_path):
    assert states(Places(tmp_path / "a", tmp_path / "b")) == {"plugin": "missing", "list": "failed"}
