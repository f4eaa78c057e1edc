"""Both programs, built with shorter limits, against a daemon that hangs and a runtime that dawdles."""

import json
import re
import socket
import subprocess
import threading

import pytest

from meshnet.cni.plugin import front_script
from tests.cni.conftest import CONFIG, ROOT
from tests.cni.daemon import Daemon, hang_up, hang_up_later, raw

NAMED = {"CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0"}


SHORTER = {"ANSWER": 0.9, "STDIN": 0.3, "STDIN_OPTIONAL": 0.3, "ADD_AWAY": 0.5, "AWAY": 0.2}
PLUGIN_C = ROOT / "meshnet/cni/plugin.c"
LIMIT = re.compile(r"^ *([A-Z_]+)_(MS|S) = ([0-9.]+)", re.MULTILINE)


def limits(source):
    """Every time limit that a program's text sets, in seconds."""
    return {name: float(number) / (1000 if unit == "MS" else 1) for name, unit, number in LIMIT.findall(source)}


def shortened(source):
    def replace(found):
        name, unit, number = found.groups()
        value = SHORTER.get(name)
        if value is None:
            return found[0]
        return found[0].removesuffix(number) + (str(int(value * 1000)) if unit == "MS" else str(value))

    text = LIMIT.sub(replace, source)
    assert limits(text) == limits(source) | SHORTER
    return text


def test_both_programs_have_the_same_limits():
    assert limits(PLUGIN_C.read_text()) == limits(front_script())
    assert limits(front_script()) == {
        "ANSWER": 60,
        "STDIN": 5,
        "STDIN_OPTIONAL": 1,
        "ADD_AWAY": 5,
        "AWAY": 1,
        "NAP": 0.025,
        "GRACE": 60,
        "LAST_RESORT": 90,
    }


@pytest.fixture(scope="module")
def hasty_compiled(build_hook, tmp_path_factory):
    program = tmp_path_factory.mktemp("plugin") / "hasty"
    source = program.with_suffix(".c")
    source.write_text(shortened(PLUGIN_C.read_text()))
    if not build_hook.compile_plugin(source, program):
        pytest.skip("no C compiler here")
    return program


@pytest.fixture(scope="module")
def hasty_script(tmp_path_factory):
    program = tmp_path_factory.mktemp("front") / "hasty"
    program.write_text(shortened(front_script()))
    program.chmod(0o755)
    return program


@pytest.fixture(params=["hasty_compiled", "hasty_script"])
def program(request):
    return request.getfixturevalue(request.param)


@pytest.fixture
def hanging(socket_path):
    """A daemon that takes requests, says half of an answer, and hangs until the test is over."""
    over = threading.Event()

    def behave(daemon, conn, _number):
        daemon.receive(conn)
        conn.sendall(b'0{"cni')
        over.wait(20)

    with Daemon(socket_path, behave) as daemon:
        yield daemon
        over.set()


def test_a_daemon_that_hangs_does_not_hold_a_runtime(run, hanging):
    error = run("GC").error
    assert error["code"] == 11
    assert "did not answer in time" in error["msg"]
    assert hanging.calls == 1


def test_a_daemon_that_hangs_does_not_hold_a_pod(run, hanging):
    done = run("DEL", **NAMED)
    assert (done.code, done.out) == (0, b"")
    assert "did not answer in time" in done.err
    assert hanging.calls == 1


def test_a_daemon_that_does_not_read_does_not_hold_a_runtime(run, socket_path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen(1)
        error = run("GC", stdin=CONFIG + b" " * 900_000).error
    assert (error["code"], "did not answer in time" in error["msg"]) == (11, True)


def test_a_daemon_that_does_not_accept_does_not_hold_a_runtime(run, socket_path):
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as queued:
        listener.bind(str(socket_path))
        listener.listen(0)
        queued.connect(str(socket_path))
        error = run("GC").error
    assert (error["code"], "did not accept in time" in error["msg"]) == (11, True)


@pytest.mark.parametrize("command", ["DEL", "VERSION", "STATUS"])
def test_a_runtime_that_keeps_stdin_open_is_not_waited_for(program, tmp_path, command):
    (tmp_path / "alive").touch()
    env = NAMED | {"CNI_COMMAND": command, "MESHNET_SOCKET": str(tmp_path / "meshnetd.sock")}
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as plugin:
        plugin.stdin.write(CONFIG)
        plugin.stdin.flush()
        plugin.wait(20)
        answer = plugin.stdout.read()
    if command == "STATUS":
        assert (plugin.returncode, answer) == (0, b"")
        return
    found = json.loads(answer)
    assert found["cniVersion"] == "1.0.0"
    assert (plugin.returncode, found.get("code")) == ((1, 5) if command == "DEL" else (0, None))


# ---- a daemon that is away


def test_without_a_daemon_the_runtime_is_told_to_come_again(run, socket_path):
    error = run("GC").error
    assert error["code"] == 11
    assert str(socket_path) in error["msg"]
    assert "No such file" in error["msg"]
    assert "`meshnet cni uninstall`" in error["msg"]


def test_a_socket_that_nobody_listens_on_is_a_daemon_away(run, socket_path):
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(socket_path))
    assert "Connection refused" in run("GC").error["msg"]


def test_a_path_longer_than_a_socket_may_have_is_said(run):
    error = run("GC", MESHNET_SOCKET="/" + "x" * 200).error
    assert error["code"] == 11
    assert "name too long" in error["msg"].replace("Filename", "File name")


@pytest.mark.parametrize("behave", [None, hang_up, hang_up_later, raw(b'0{"cniVersion": "1.0.0"')])
def test_a_pod_may_go_without_a_daemon(run, socket_path, behave):
    if behave is None:
        done = run("DEL", **NAMED)
    else:
        with Daemon(socket_path, behave):
            done = run("DEL", **NAMED)
    assert (done.code, done.out) == (0, b"")
    assert done.err.startswith(f"meshnet: DEL: daemon at {socket_path}: ")
    assert done.err.count("\n") == 1


@pytest.mark.parametrize("stderr", [">&-", ">/dev/full"])
def test_a_pod_may_go_where_nobody_can_be_told_that_the_daemon_is_away(run, stderr):
    done = run("DEL", wrap=("sh", "-c", f'exec "$1" 2{stderr}', "sh"), **NAMED)
    assert (done.code, done.out) == (0, b"")


@pytest.mark.kernel
@pytest.mark.parametrize("command", ["ADD", "CHECK"])
def test_without_a_daemon_it_gives_up(run, other_netns, command):
    error = run(command, CNI_NETNS=other_netns, **NAMED).error
    assert (error["code"], error["cniVersion"]) == (11, "1.0.0")
