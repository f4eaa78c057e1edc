import importlib.util
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from meshnet.cni.plugin import front_script

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def build_hook():
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def compiled(build_hook, tmp_path_factory):
    program = tmp_path_factory.mktemp("plugin") / "meshnet"
    if not build_hook.compile_plugin(ROOT / "meshnet/cni/plugin.c", program):
        pytest.skip("no C compiler here")
    return program


@pytest.fixture(scope="session")
def script(tmp_path_factory):
    program = tmp_path_factory.mktemp("front") / "meshnet"
    program.write_text(front_script())
    program.chmod(0o755)
    return program


@pytest.fixture(params=["compiled", "script"])
def program(request):
    """The plugin, once as the C program, once as the Python front."""
    return request.getfixturevalue(request.param)


@dataclass
class Done:
    code: int
    out: bytes
    err: str

    @property
    def error(self):
        """The error object on stdout, which must be one and the exit code say so."""
        assert self.code == 1
        error = json.loads(self.out)
        assert set(error) == {"cniVersion", "code", "msg"}
        return error


CONFIG = b'{"cniVersion": "1.0.0", "name": "net", "type": "meshnet"}'


@pytest.fixture
def run(program, tmp_path):
    """Run the plugin against the socket ``meshnetd.sock`` in `tmp_path`, with exactly these variables."""

    def run(command, *, stdin=CONFIG, wrap=(), timeout_s=30, **env):
        base = {"MESHNET_SOCKET": str(tmp_path / "meshnetd.sock"), "PATH": os.environ["PATH"]}
        if command is not None:
            base["CNI_COMMAND"] = command
        done = subprocess.run(
            [*wrap, program], input=stdin, env=base | env, capture_output=True, timeout=timeout_s, check=False
        )
        return Done(done.returncode, done.stdout, done.stderr.decode())

    return run


@pytest.fixture
def socket_path(tmp_path):
    return tmp_path / "meshnetd.sock"


@pytest.fixture(scope="session")
def other_netns():
    """Path of a network namespace that is not ours, with an interface ``inside0``; it ends with its process."""
    inside = "ip link add inside0 type veth peer name inside1 && echo ready && exec sleep 600"
    with subprocess.Popen(["unshare", "-n", "sh", "-c", inside], stdout=subprocess.PIPE) as holder:
        try:
            if holder.stdout.readline() != b"ready\n":
                pytest.skip("network namespaces cannot be made here: root, or a user namespace, is needed")
            yield f"/proc/{holder.pid}/ns/net"
        finally:
            holder.kill()
