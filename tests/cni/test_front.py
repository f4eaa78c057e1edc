"""One table for both programs: plugin.c and front.py must behave the same."""

import json
import os
import subprocess
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshnet.cni.frame import MAX_ENV, MAX_REPLY, MAX_TOTAL
from meshnet.cni.versions import SUPPORTED
from tests.cni.conftest import CONFIG
from tests.cni.daemon import Daemon, answer, first, hang_up, hang_up_later, raw, refuse

DEL = {"CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0"}


# ---- what reaches the daemon, and what comes back


def test_only_cni_variables_and_stdin_are_sent(run, socket_path):
    with Daemon(socket_path) as daemon:
        done = run("DEL", **DEL, CNI_NETNS="", CNI_ARGS="K8S_POD_NAME=é", SECRET="x", XCNI_A="x", CNIVERSION="x")
    assert (done.code, done.out, done.err) == (0, b"{}", "")
    assert daemon.seen[0].env == DEL | {"CNI_COMMAND": "DEL", "CNI_NETNS": "", "CNI_ARGS": "K8S_POD_NAME=é"}
    assert daemon.seen[0].body == CONFIG
    assert daemon.seen[0].inodes == []


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("body", [b"", b'{"a": "}\\"{"}', b' {"long": "' + b"x" * 1_500_000 + b'"} \n'])
def test_the_answer_is_printed_as_it_is_and_its_code_is_the_exit_code(run, socket_path, code, body):
    with Daemon(socket_path, answer(body, code)):
        done = run("DEL", **DEL)
    assert (done.code, done.out, done.err) == (code, body, "")


def test_gc_is_carried_without_a_namespace(run, socket_path):
    with Daemon(socket_path) as daemon:
        assert run("GC", CNI_NETNS="/nowhere").code == 0
    assert daemon.seen[0].env["CNI_COMMAND"] == "GC"


def test_a_daemon_that_refuses_before_it_reads_is_heard(run, socket_path):
    with Daemon(socket_path, refuse(b'1{"code": 7}')) as daemon:
        done = run("DEL", stdin=b"x" * 900_000, **DEL)
    assert (done.code, done.out, daemon.calls) == (1, b'{"code": 7}', 1)


def test_everything_that_fits_is_sent(run, socket_path):
    long = {"CNI_ARGS": "a" * (MAX_ENV - 64)}
    entries = DEL | long | {"CNI_COMMAND": "DEL"}
    stdin = b"x" * (MAX_TOTAL - sum(len(f"{name}={value}") + 1 for name, value in entries.items()))
    with Daemon(socket_path) as daemon:
        assert run("DEL", stdin=stdin, **DEL, **long).code == 0
        assert daemon.seen[0].body == stdin
        error = run("DEL", stdin=stdin + b"x", **DEL, **long).error
    assert error["code"] == 5
    assert "4 MiB" in error["msg"]


def test_the_longest_answer_comes_back_as_the_previous_result(run, socket_path):
    with Daemon(socket_path, answer(b'{"x": "' + b"x" * (MAX_REPLY - 10) + b'"}')) as daemon:
        result = run("GC").out
        config = CONFIG[:-1] + b', "prevResult": ' + result + b"}"
        assert run("DEL", stdin=config, **DEL).code == 0
    assert len(result) == MAX_REPLY - 1
    assert daemon.seen[-1].body == config


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "GC"])
def test_an_oversized_environment_is_error_4_and_names_the_longest(run, command):
    error = run(command, CNI_CONTAINERID="c1", CNI_ARGS="x" * 66_000, CNI_PATH="y" * 100).error
    assert error["code"] == 4
    assert error["msg"].startswith("CNI_ARGS: ")
    assert str(MAX_ENV) in error["msg"]


@pytest.mark.parametrize("command", ["ADD", "DEL", "CHECK", "GC"])
def test_oversized_stdin_is_error_5(run, command):
    assert run(command, stdin=CONFIG[:-1] + b', "x": "' + b"x" * MAX_TOTAL, **DEL).error == {
        "cniVersion": "1.0.0",
        "code": 5,
        "msg": "network configuration on stdin: longer than 4 MiB with the environment",
    }


def test_closed_stdin_is_error_5(run):
    assert run("DEL", wrap=("sh", "-c", 'exec "$0" <&-'), **DEL).error["code"] == 5


# ---- a daemon that dies; one that is away is in test_front_limits


@pytest.mark.parametrize("bad", [hang_up, hang_up_later, raw(b'0{"a": {"b": 1}'), raw(b'0{"a": "}')])
@pytest.mark.parametrize("command", ["DEL", "GC"])
def test_a_daemon_killed_in_the_middle_is_asked_again(run, socket_path, bad, command):
    with Daemon(socket_path, first(3, bad, answer(b'{"done": true}'))) as daemon:
        done = run(command, **DEL)
    assert (done.code, done.out) == (0, b'{"done": true}')
    assert daemon.calls == 4
    assert daemon.seen[-1].body == CONFIG


@pytest.mark.parametrize("data", [b"2{}", b"{}", b"HTTP/1.1 400 Bad Request{}"])
def test_an_answer_of_another_version_is_an_error(run, socket_path, data):
    with Daemon(socket_path, raw(data)) as daemon:
        error = run("GC").error
    assert error["code"] == 999
    assert f"byte {data[0]}" in error["msg"]
    assert daemon.calls == 1


def test_an_answer_without_end_is_an_error(run, socket_path):
    with Daemon(socket_path, raw(b"0{" + b"x" * (MAX_REPLY + 10))):
        assert run("GC").error["code"] == 999


# ---- what the plugin answers itself


@pytest.mark.parametrize("version", SUPPORTED)
@pytest.mark.parametrize("up", [True, False])
def test_version_needs_no_daemon(run, socket_path, version, up):
    stdin = json.dumps({"cniVersion": version}).encode()
    if up:
        with Daemon(socket_path) as daemon:
            done = run("VERSION", stdin=stdin)
        assert daemon.calls == 0
    else:
        done = run("VERSION", stdin=stdin)
    assert done.code == 0
    assert json.loads(done.out) == {"cniVersion": version, "supportedVersions": list(SUPPORTED)}


@pytest.mark.parametrize("stdin", [b"", b"{}", b'{"cniVersion": "9.9.9"}', b"\0\xff", b"[" * 100_000])
def test_version_answers_whatever_it_is_asked(run, stdin):
    assert json.loads(run("VERSION", stdin=stdin).out)["cniVersion"] == "1.1.0"


@pytest.mark.parametrize(("command", "said"), [(None, "missing"), ("", "missing"), ("add", "add"), ("GET\n", "GET")])
def test_an_unknown_command_is_error_4(run, command, said):
    error = run(command).error
    assert error["code"] == 4
    assert error["msg"].startswith("CNI_COMMAND: ")
    assert said in error["msg"]


@pytest.mark.parametrize("age_s", [0, 50, -3600])
def test_status_is_silent_while_the_daemon_is_there_or_not_long_away(run, tmp_path, age_s):
    touch(tmp_path / "alive", age_s)
    done = run("STATUS")
    assert (done.code, done.out, done.err) == (0, b"", "")


def test_status_fails_when_the_daemon_has_been_away_for_long(run, tmp_path):
    touch(tmp_path / "alive", 75)
    error = run("STATUS").error
    assert (error["code"], error["cniVersion"]) == (50, "1.0.0")
    assert "daemon" in error["msg"]
    assert str(tmp_path / "alive") in error["msg"]
    assert any(f" {age} s ago" in error["msg"] for age in range(75, 100))


def test_status_fails_where_no_daemon_ever_ran(run, tmp_path):
    error = run("STATUS").error
    assert error["code"] == 50
    assert str(tmp_path / "alive") in error["msg"]


def test_status_looks_where_it_is_told(run, tmp_path):
    touch(tmp_path / "elsewhere", 0)
    assert run("STATUS", MESHNET_ALIVE=str(tmp_path / "elsewhere")).code == 0
    touch(tmp_path / "elsewhere", 100)
    assert "elsewhere" in run("STATUS", MESHNET_ALIVE=str(tmp_path / "elsewhere")).error["msg"]


def touch(path, age_s):
    path.touch()
    os.utime(path, (time.time() - age_s, time.time() - age_s))


# ---- errors are JSON, in the request's version


@pytest.mark.parametrize(
    ("stdin", "version"),
    [
        (b'{"cniVersion": "0.3.1"}', "0.3.1"),
        (b'  {"a": {"cniVersion": "0.4.0"}, "b": ["cniVersion", "}"],\n "cniVersion"\t:\n"0.2.0", "c": 1}', "0.2.0"),
        (b'{"a": "cniVersion", "b": "\\"cniVersion\\": \\"0.4.0\\""}', "1.1.0"),
        (b'{"prevResult": {"cniVersion": "0.4.0"}}', "1.1.0"),
        (b'[{"cniVersion": "0.4.0"}]', "1.1.0"),
        (b'{"cniVersion": "0.4', "1.1.0"),
        (b'{"cniVersion": 4}', "1.1.0"),
        (b'{"cniVersion": "3.0.0"}', "1.1.0"),
        (b'{"cniVersion": "0.4.0", "broken', "0.4.0"),
        (b"", "1.1.0"),
    ],
)
def test_errors_are_in_the_version_of_the_request(run, stdin, version):
    assert run("FOO", stdin=stdin).error["cniVersion"] == version


@pytest.mark.parametrize(
    "value", ['"\\', "\x01\x1f\x7f\n", "é", b"\xff\xfe".decode("utf-8", "surrogateescape"), "%s%n"]
)
def test_text_in_errors_is_escaped(run, value):
    error = run(value).error
    shown = "".join(letter if letter < "\x80" else "?" for letter in os.fsencode(value).decode("latin-1"))
    assert error["msg"].startswith(f"CNI_COMMAND: {shown}: ")


# ---- anything at all


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300) | st.text(alphabet='{}[]":, \\cniVersion01.', max_size=80).map(str.encode),
    st.dictionaries(
        st.sampled_from(["CNI_ARGS", "CNI_IFNAME", "CNI_NETNS", "CNI_X"]),
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80),
    ),
    st.sampled_from(["DEL", "VERSION", "STATUS", "GC", "x"]),
)
def test_garbage_is_carried_or_refused_never_worse(run, tmp_path, stdin, env, command):
    path = tmp_path / "fuzz.sock"
    path.unlink(missing_ok=True)
    with Daemon(path) as daemon:
        done = run(command, stdin=stdin, MESHNET_SOCKET=str(path), **env)
    assert done.err == ""
    if command in ("DEL", "GC"):
        assert (done.code, done.out) == (0, b"{}")
        assert daemon.seen[0].body == stdin
        assert daemon.seen[0].env == env | {"CNI_COMMAND": command}
    elif command == "VERSION":
        assert json.loads(done.out)["supportedVersions"] == list(SUPPORTED)
    else:
        assert done.error["code"] == (50 if command == "STATUS" else 4)


def test_the_plugin_reads_stdin_in_any_pieces(program, socket_path):
    env = DEL | {"CNI_COMMAND": "DEL", "MESHNET_SOCKET": str(socket_path)}
    with (
        Daemon(socket_path) as daemon,
        subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env) as plugin,
    ):
        for piece in (CONFIG[:1], CONFIG[1:20], CONFIG[20:]):
            plugin.stdin.write(piece)
            plugin.stdin.flush()
            time.sleep(0.02)
        out, _ = plugin.communicate(timeout=20)
    assert (plugin.returncode, out, daemon.seen[0].body) == (0, b"{}", CONFIG)
