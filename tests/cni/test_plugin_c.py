"""The C program under the sanitizers, fed with anything at all."""

import os
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from meshnet.cni.frame import MAX_TOTAL
from tests.cni.conftest import CONFIG, ROOT
from tests.cni.daemon import Daemon, answer, first, raw

STRICT = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-O1")
FOUND = 99


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    program = tmp_path_factory.mktemp("plugin") / "sanitized"
    if shutil.which("cc") is None:
        pytest.skip("no C compiler here")
    command = ["cc", *STRICT, "-o", program, ROOT / "meshnet/cni/plugin.c"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        pytest.skip(f"no sanitizers here: {done.stderr.splitlines()[-1]}")
    return program


def run(program, path, env, stdin):
    base = {"MESHNET_SOCKET": os.fspath(path), "ASAN_OPTIONS": f"exitcode={FOUND}:detect_leaks=0"}
    done = subprocess.run([program], env=base | env, input=stdin, capture_output=True, timeout=30, check=False)
    assert done.returncode in (0, 1), done.stderr.decode()
    assert b"runtime error" not in done.stderr
    return done


texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=300)
stdins = st.binary(max_size=300) | st.lists(
    st.sampled_from(['"cniVersion"', '"', "\\", ":", "{", "}", "[", "]", " ", '"1.1.0"', '"0.4.0', ",", "é"]),
    max_size=20,
).map(lambda parts: "".join(parts).encode())


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION", ""]) | texts,
    st.dictionaries(st.sampled_from(["CNI_NETNS", "CNI_ARGS", "CNI_", "MESHNET_ALIVE"]), texts),
    stdins,
)
def test_no_call_does_what_c_does_not_define(program, tmp_path, command, env, stdin):
    path = tmp_path / "fuzz.sock"
    path.unlink(missing_ok=True)
    with Daemon(path):
        run(program, path, env | {"CNI_COMMAND": command}, stdin)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(stdins.filter(bool))
def test_no_answer_does_what_c_does_not_define(program, tmp_path, reply):
    path = tmp_path / "fuzz.sock"
    path.unlink(missing_ok=True)
    with Daemon(path, first(1, raw(reply), answer(b"{}"))) as daemon:
        done = run(program, path, {"CNI_COMMAND": "GC"}, CONFIG)
    assert daemon.calls == (2 if done.stdout == b"{}" and reply != b"0{}" else 1)


@pytest.mark.parametrize("size", [0, 65_000, 65_536 - 40, 65_536, 70_000, 120_000])
@pytest.mark.parametrize("length", [0, 1 << 19, MAX_TOTAL - 10, MAX_TOTAL, 2 * MAX_TOTAL])
def test_the_bounds_are_kept(program, tmp_path, size, length):
    path = tmp_path / "d.sock"
    with Daemon(path, answer(b"{}")) as daemon:
        done = run(program, path, {"CNI_COMMAND": "DEL", "CNI_ARGS": "x" * size}, b"y" * length)
    assert daemon.calls == (done.returncode == 0)
    assert (done.returncode == 0) == (size < 65_500 and size + length < MAX_TOTAL - 40)
