"""Both programs with real network namespaces: what is handed to the daemon, and namespaces that are not there."""

import os
import subprocess

import pytest

from tests.cni.conftest import CONFIG
from tests.cni.daemon import Daemon, answer, first, hang_up, hang_up_later

pytestmark = pytest.mark.kernel
NAMED = {"CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0"}


@pytest.mark.parametrize("command", ["ADD", "CHECK", "DEL"])
def test_the_namespace_and_a_netlink_socket_inside_it_are_handed_over(run, socket_path, other_netns, command):
    with Daemon(socket_path, answer(b'{"ok": 1}')) as daemon:
        done = run(command, CNI_NETNS=other_netns, **NAMED)
    assert (done.code, done.out) == (0, b'{"ok": 1}')
    seen = daemon.seen[0]
    assert seen.inodes[0] == os.stat(other_netns).st_ino
    assert b"inside0\0" in seen.links
    assert seen.body == CONFIG


@pytest.mark.parametrize("command", ["ADD", "CHECK"])
@pytest.mark.parametrize(
    ("netns", "said"),
    [
        (None, "needed and empty or missing"),
        ("", "needed and empty or missing"),
        ("/nowhere/x", "/nowhere/x: No such file or directory"),
        ("/dev/null", "/dev/null: cannot be entered as a network namespace"),
        ("/proc/self/ns/uts", "cannot be entered as a network namespace"),
    ],
)
def test_a_namespace_that_is_not_there_is_error_4(run, socket_path, command, netns, said):
    env = NAMED | ({} if netns is None else {"CNI_NETNS": netns})
    with Daemon(socket_path) as daemon:
        error = run(command, **env).error
    assert error["code"] == 4
    assert error["msg"].startswith("CNI_NETNS: ")
    assert said in error["msg"]
    assert daemon.calls == 0


def test_the_plugins_own_namespace_is_error_8(run):
    error = run("ADD", CNI_NETNS="/proc/self/ns/net", **NAMED).error
    assert error["code"] == 8
    assert "/proc/self/ns/net" in error["msg"]


@pytest.mark.parametrize("netns", ["", "/nowhere/x", "/dev/null", "/proc/self/ns/net"])
def test_a_pod_may_go_when_its_namespace_is_gone(run, socket_path, netns):
    with Daemon(socket_path) as daemon:
        assert run("DEL", CNI_NETNS=netns, **NAMED).code == 0
    assert daemon.seen[0].env["CNI_NETNS"] == netns
    assert daemon.seen[0].inodes == []


@pytest.mark.parametrize("command", ["ADD", "DEL"])
def test_where_no_proc_is_mounted_it_is_the_same(run, socket_path, tmp_path, other_netns, command):
    netns = tmp_path / "netns"
    netns.touch()
    without = 'mount --bind "$0" "$1" && mount -t tmpfs none /proc && exec "$2"'
    with Daemon(socket_path) as daemon:
        wrap = ("unshare", "--mount", "sh", "-c", without, other_netns, netns)
        done = run(command, wrap=wrap, CNI_NETNS=str(netns), **NAMED)
    assert (done.code, done.err) == (0, "")
    assert daemon.seen[0].inodes[0] == os.stat(other_netns).st_ino


def test_an_own_namespace_may_be_allowed(run, socket_path):
    with Daemon(socket_path) as daemon:
        assert run("ADD", CNI_NETNS="/proc/self/ns/net", CNI_NETNS_OVERRIDE="TRUE", **NAMED).code == 0
    assert daemon.seen[0].inodes[0] == os.stat("/proc/self/ns/net").st_ino


@pytest.mark.parametrize("bad", [hang_up, hang_up_later])
def test_an_add_goes_on_when_the_daemon_restarts_in_the_middle(run, socket_path, other_netns, bad):
    with Daemon(socket_path, first(5, bad, answer(b"{}"))) as daemon:
        assert run("ADD", CNI_NETNS=other_netns, **NAMED).code == 0
    assert daemon.calls == 6
    assert daemon.seen[-1].inodes[0] == os.stat(other_netns).st_ino


def test_an_add_waits_for_a_daemon_that_comes(program, socket_path, other_netns):
    env = NAMED | {"CNI_COMMAND": "ADD", "CNI_NETNS": other_netns, "MESHNET_SOCKET": str(socket_path)}
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as plugin:
        plugin.stdin.write(CONFIG)
        plugin.stdin.close()
        plugin.stdin = None
        with pytest.raises(subprocess.TimeoutExpired):
            plugin.wait(1.5)  # longer than any other command has patience
        with Daemon(socket_path):
            out, _ = plugin.communicate(timeout=20)
    assert (plugin.returncode, out) == (0, b"{}")


def test_in_a_user_namespace_it_is_the_same(program, socket_path):
    """Box and pod namespace belong to one user namespace, whose root has no rights outside."""
    box = (
        'unshare -n sleep 30 & pod=$!; until [ "$(readlink /proc/$pod/ns/net)" != "$(readlink /proc/self/ns/net)" ];'
        ' do sleep 0.01; done; echo "$1" | CNI_NETNS=/proc/$pod/ns/net "$0"; code=$?; kill $pod; exit $code'
    )
    env = NAMED | {"CNI_COMMAND": "ADD", "MESHNET_SOCKET": str(socket_path), "PATH": os.environ["PATH"]}
    allowed = subprocess.run(["unshare", "-Urn", "true"], check=False, capture_output=True, timeout=20)
    if allowed.returncode:
        pytest.skip(f"user namespaces are not allowed here: {allowed.stderr.decode().strip()}")
    with Daemon(socket_path) as daemon:
        done = subprocess.run(
            ["unshare", "-Urn", "sh", "-c", box, program, CONFIG], env=env, capture_output=True, timeout=30, check=False
        )
    assert (done.returncode, done.stdout) == (0, b"{}"), done.stderr
    assert b"lo\0" in daemon.seen[0].links
    assert b"inside0" not in daemon.seen[0].links
