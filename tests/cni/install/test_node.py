"""Install and uninstall, on real directories."""

from __future__ import annotations

import errno
import json
import os
import stat
import threading

import pytest

from meshnet.cni.install.names import LIST, OLD_CONFIG, OLD_LINK_TYPE, Places
from meshnet.cni.install.node import install, is_our_plugin, uninstall
from meshnet.cni.install.place import InstallError, take_away
from meshnet.cni.plugin import front_script, plugin_command
from tests.cni.install.conftest import flannel, types, write


def test_install_places_the_plugin_and_a_list_with_it(places):
    done = install(places)

    assert types(places.list) == ["flannel", "portmap", "meshnet"]
    assert stat.S_IMODE(places.list.stat().st_mode) == 0o600
    assert stat.S_IMODE(places.plugin.stat().st_mode) == 0o755
    assert places.plugin.read_bytes() == plugin_command().read_bytes()
    assert len(done.changed) == 2


def test_install_again_touches_nothing(places):
    install(places)
    before = places.list.stat()

    assert install(places).changed == ()
    assert places.list.stat().st_ino == before.st_ino


def test_upstream_is_taken_over(places):
    write(
        places.list, flannel(cniVersion="0.3.0", plugins=[{"type": "flannel"}, {"name": "meshnet", "type": "meshnet"}])
    )
    places.list.chmod(0o444)
    places.plugin.write_bytes(b"\x7fELF upstream")
    write(places.conf_dir / OLD_CONFIG, {"type": "meshnet", "delegate": {}})
    write(places.conf_dir / OLD_LINK_TYPE, "")

    install(places)

    assert sorted(os.listdir(places.conf_dir)) == [LIST, "10-flannel.conflist"]
    assert json.loads(places.list.read_text())["cniVersion"] == "0.3.1"
    assert is_our_plugin(places)


def test_a_plugin_that_cannot_be_placed_is_not_named_in_a_list(places):
    places.plugin.mkdir()

    with pytest.raises(InstallError):
        install(places)

    assert not places.list.exists()


def test_a_directory_that_is_not_there_is_named(tmp_path):
    (tmp_path / "bin").mkdir()

    with pytest.raises(InstallError, match=r"/net.d: is not there: the directory that the container runtime reads"):
        install(Places(tmp_path / "bin", tmp_path / "net.d"))


def test_uninstall_leaves_what_was_there_before(places):
    before = os.listdir(places.conf_dir)
    install(places)
    write(places.conf_dir / f"{LIST}.cilium_bak", "{}")

    assert uninstall(places).kept == ()

    assert (os.listdir(places.conf_dir), os.listdir(places.bin_dir)) == (before, [])
    assert uninstall(places).changed == ()


def test_uninstall_where_there_is_nothing(tmp_path):
    assert uninstall(Places(tmp_path / "bin", tmp_path / "net.d")).changed == ()


def test_uninstall_removes_the_oldest_one_before_it_would_win(places):
    install(places)
    write(places.conf_dir / OLD_CONFIG, {"type": "meshnet"})

    uninstall(places)

    assert os.listdir(places.conf_dir) == ["10-flannel.conflist"]


def test_uninstall_keeps_what_is_not_ours(places):
    write(places.list, flannel())
    places.plugin.write_bytes(b"another program")

    done = uninstall(places)

    assert done.changed == ()
    assert len(done.kept) == 2
    assert places.list.exists()
    assert places.plugin.exists()


def test_a_list_of_ours_that_is_back_at_once_is_not_taken_for_a_users(places, monkeypatch):
    install(places)

    def removed_while_a_daemon_follows(path):
        return take_away(path) and (path != places.list or install(places))

    monkeypatch.setattr("meshnet.cni.install.node.take_away", removed_while_a_daemon_follows)
    assert uninstall(places).kept == ()
    assert places.plugin.exists()  # a list names it


def test_uninstall_keeps_the_plugin_while_a_users_list_calls_it(places):
    install(places)
    write(places.conf_dir / "10-flannel.conflist", flannel(plugins=[{"type": "flannel"}, {"type": "meshnet"}]))

    done = uninstall(places)

    assert "10-flannel.conflist calls meshnet" in done.kept[0]
    assert not places.list.exists()
    assert places.plugin.exists()


def test_uninstall_keeps_the_list_while_a_users_list_refers_to_it(places):
    install(places)
    multus = {"name": "m", "type": "multus", "clusterNetwork": f"/host/etc/cni/net.d/{LIST}"}
    write(places.conf_dir / "00-a-multus.conf", multus)

    done = uninstall(places)

    assert done.changed == ()
    assert done.kept[0].endswith(f"{LIST} stays: 00-a-multus.conf refers to it")
    assert "00-a-multus.conf calls meshnet: take it out there, then again" in done.kept[1]
    assert (places.list.exists(), places.plugin.exists()) == (True, True)

    places.list.unlink()
    assert len(uninstall(places).kept) == 1  # what is not there does not stay
    (places.conf_dir / "00-a-multus.conf").unlink()
    assert (uninstall(places).kept, places.list.exists(), places.plugin.exists()) == ((), False, False)


def test_a_plugin_that_cannot_be_looked_at_is_not_taken_for_one_that_is_not_there(places):
    places.plugin.symlink_to(places.plugin)

    with pytest.raises(InstallError, match=r"/bin/meshnet: cannot be read: Too many levels of symbolic links"):
        uninstall(places)


@pytest.mark.parametrize("name", ["99-other.conflist", LIST])
def test_a_list_that_cannot_be_read_is_not_taken_for_one_without_meshnet(places, name):
    install(places)
    _unreadable(places.conf_dir / name)

    done = uninstall(places)

    assert len(done.kept) == 1
    assert f"{name}: cannot be read: Too many levels of symbolic links; it may call meshnet" in done.kept[0]
    assert os.path.lexists(places.conf_dir / name)
    assert places.plugin.exists()


@pytest.mark.parametrize(
    "document", ['{"plugins": [{"type": "meshnet"}', flannel(cniVersion="9.0.0", plugins=[{"type": "meshnet"}])]
)
def test_a_list_that_is_wrong_and_names_meshnet_keeps_the_plugin(places, document):
    """A runtime may know versions that we do not, and who mends the other is to find the plugin."""
    install(places)
    write(places.conf_dir / "99-other.conflist", document)

    done = uninstall(places)

    assert len(done.kept) == 1
    assert "99-other.conflist" in done.kept[0]
    assert "it names meshnet" in done.kept[0]
    assert places.plugin.exists()


def test_a_list_that_is_wrong_and_somebody_elses_keeps_nothing(places):
    install(places)
    write(places.conf_dir / "99-other.conflist", '{"plugins": [{"type": "flannel"}')
    os.mkfifo(places.conf_dir / "99-pipe.conf")
    (places.conf_dir / "99-nowhere.conf").symlink_to("nowhere")

    assert uninstall(places).kept == ()


def test_a_directory_that_cannot_be_listed_is_not_taken_for_an_empty_one(places, monkeypatch):
    install(places)

    def failing(directory):
        raise OSError(errno.EIO, "Input/output error", str(directory))

    monkeypatch.setattr("meshnet.cni.install.node.list_files", failing)
    with pytest.raises(InstallError, match=r"net\.d: cannot be read: Input/output error"):
        uninstall(places)
    assert places.plugin.exists()


@pytest.mark.parametrize("name", [LIST, OLD_CONFIG])
def test_what_cannot_be_read_is_named_and_not_its_directory(places, name):
    _unreadable(places.conf_dir / name)

    with pytest.raises(InstallError, match=rf"/{name}: cannot be read: Too many levels of symbolic links"):
        install(places)


def test_what_upstream_left_may_be_a_link_to_nowhere(places):
    (places.conf_dir / OLD_LINK_TYPE).symlink_to("nowhere")

    install(places)

    assert sorted(os.listdir(places.conf_dir)) == [LIST, "10-flannel.conflist"]


def test_a_pipe_of_the_name_of_upstreams_list_is_not_waited_for(places):
    os.mkfifo(places.conf_dir / OLD_CONFIG)

    assert f"{OLD_CONFIG}: type: " in install(places).plan.problem


def _unreadable(path):
    """Make `path` one that root cannot read either."""
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


def test_every_form_of_our_plugin_is_ours(places, compiled):
    for program in (compiled.read_bytes(), front_script().encode()):
        places.plugin.write_bytes(program)
        assert is_our_plugin(places)


def test_at_every_moment_a_reader_finds_a_whole_list(places):
    """A runtime reads the first list: before, between and after install, changes, and uninstall it is a valid one."""
    seen, wrong, over = set(), [], threading.Event()

    def read():
        while not over.is_set():
            first = min(name for name in os.listdir(places.conf_dir) if name.endswith((".conf", ".conflist")))
            try:
                found = json.loads((places.conf_dir / first).read_text())
                seen.add(tuple(plugin["type"] for plugin in found["plugins"]))
            except FileNotFoundError:
                continue  # removed since: a runtime looks again
            except (ValueError, KeyError) as error:
                wrong.append((first, error))

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(40):
        fresh = places.conf_dir / "fresh"
        write(fresh, flannel(plugins=[{"type": "flannel"}, *[{"type": "portmap"}] * (number % 3)]))
        fresh.replace(places.conf_dir / "10-flannel.conflist")
        install(places)
        if number % 4 == 3:
            uninstall(places)
    over.set()
    reader.join()

    assert wrong == []
    assert {types[-1] for types in seen} >= {"meshnet"}
    assert {types.count("meshnet") for types in seen} <= {0, 1}
