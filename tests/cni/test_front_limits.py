"""Both programs, built with shorter limits, against a daemon that hangs and a runtime that dawdles."""

import json
import socket
import subprocess
import threading

import pytest

from meshnet.cni.plugin import front_script
from tests.cni.conftest import CONFIG, ROOT
from tests.cni.daemon import Daemon

NAMED = {"CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0"}


@pytest.fixture(scope="module")
def hasty_compiled(build_hook, tmp_path_factory):
    program = tmp_path_factory.mktemp("plugin") / "hasty"
    if not build_hook.compile_plugin(ROOT / "meshnet/cni/plugin.c", program, "-DANSWER_MS=900", "-DSTDIN_MS=300"):
        pytest.skip("no C compiler here")
    return program


@pytest.fixture(scope="module")
def hasty_script(tmp_path_factory):
    program = tmp_path_factory.mktemp("front") / "hasty"
    text = front_script().replace("ANSWER_S = 60.0", "ANSWER_S = 0.9").replace("\nSTDIN_S = 5.0", "\nSTDIN_S = 0.3")
    assert text.count("_S = 0.9") == text.count("_S = 0.3") == 1
    program.write_text(text)
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
