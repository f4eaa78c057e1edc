"""The local socket of a real daemon: who may call, with which descriptors, and what fuzz does to it."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from meshnet.cni.frame import decode_reply, encode_request
from tests.daemon.callers import code_of, exchange
from tests.kernel.daemons import NETWORK, pair
from tests.kernel.pods import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.kernel.daemons import DaemonNode, PodBox

pytestmark = pytest.mark.kernel

NOBODY = 65534
CONFIG = json.dumps({"cniVersion": "1.1.0", "name": NETWORK, "type": "meshnet"}).encode()


def environment(pod: PodBox, command: str = "ADD") -> dict[str, str]:
    return {
        "CNI_COMMAND": command,
        "CNI_CONTAINERID": pod.container,
        "CNI_NETNS": pod.netns,
        "CNI_IFNAME": "eth0",
        "CNI_ARGS": f"K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod.name}",
    }


def test_another_user_is_refused(node: DaemonNode) -> None:
    script = (
        "import os, socket, sys\n"
        f"try: os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
        "except OSError: sys.exit(77)\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(10)\n"
        "try: s.connect(sys.argv[1])\n"
        "except PermissionError: sys.exit(13)\n"
        "try: s.sendall(bytes.fromhex(sys.argv[2])); answer = s.recv(10)\n"
        "except ConnectionError: answer = b''\n"
        "sys.exit(0 if answer else 7)\n"
    )
    request = encode_request({"MESHNET_QUERY": "health"}).hex()
    inherited = os.open(node.socket.parent, os.O_PATH)
    os.set_inheritable(inherited, True)

    def call() -> int:
        # by a descriptor: what is above the socket's directory may be closed to this user anyway
        command = [sys.executable, "-c", script, f"/proc/self/fd/{inherited}/meshnetd.sock", request]
        return subprocess.run(command, check=False, timeout=20, pass_fds=[inherited]).returncode

    try:
        first = call()
        if first == 77:
            pytest.skip("another uid cannot be taken here: only root outside of a user namespace can")
        assert first == 13
        # even where somebody has opened the file's mode
        os.chmod(node.socket, 0o777)
        assert call() == 7
    finally:
        os.close(inherited)
    assert f"uid {NOBODY} refused" in node.log()
    assert node.ready()


def test_descriptors_that_are_something_else(node: DaemonNode) -> None:
    node.apply(*pair())
    pod = node.pod("r1")
    request = encode_request(environment(pod), CONFIG)
    before = node.descriptors()
    with open("/dev/null") as null, socket.socket() as tcp:
        for fds in (
            [],
            [null.fileno()],
            [pod.fd, null.fileno()],
            [pod.fd, tcp.fileno()],
            [null.fileno(), null.fileno()],
            [null.fileno(), pod.fd],
        ):
            assert code_of(exchange(node.socket, request, fds=fds)) > 0, fds
    assert pod.links() == {}
    assert node.ports() == {}
    assert node.ask("sandboxes")["sandboxes"] == []
    assert eventually(lambda: node.descriptors() == before)
    assert node.add(pod).done


def test_the_namespace_alone_is_enough(node: DaemonNode) -> None:
    node.apply(*pair())
    pod = node.pod("r1")
    answer = exchange(node.socket, encode_request(environment(pod), CONFIG), fds=[pod.fd])

    assert decode_reply(answer).code == 0
    assert set(pod.links()) == {"eth1"}


def test_no_descriptor_of_a_pod_is_kept(node: DaemonNode) -> None:
    """Held, it would keep a dead pod's namespace alive."""
    node.apply(*pair())
    before = node.descriptors()
    r1, r2 = node.up("r1", "r2")
    assert node.add(r1).done

    assert eventually(lambda: node.descriptors() == before)
    r2.end()
    assert eventually(lambda: not r1.carrier())


def mutated(source: random.Random, data: bytes) -> bytes:
    """The data with a few bytes changed, dropped, doubled."""
    found = bytearray(data)
    for _ in range(source.randint(1, 6)):
        at = source.randrange(len(found) or 1)
        match source.randrange(4):
            case 0 if found:
                found[at] = source.randrange(256)
            case 1:
                del found[at : at + source.randrange(20)]
            case 2:
                found[at:at] = found[at : at + source.randrange(20)]
            case _:
                found[at:at] = source.choice([b"\0", b"{", b'"', b"\xff", b"=", b"[" * 50, b"-1e999", b"null"])
    return bytes(found)


def test_fuzz_of_whole_requests(node: DaemonNode) -> None:
    node.apply(*pair())
    pod = node.pod("r1")
    source = random.Random(20)
    whole = encode_request(environment(pod), CONFIG)
    before = node.descriptors()
    for _ in range(400):
        exchange(node.socket, mutated(source, whole), fds=[pod.fd] * source.randrange(4))

    assert_unharmed(node, pod, before)


def test_fuzz_of_environment_and_configuration(node: DaemonNode) -> None:
    node.apply(*pair())
    pod = node.pod("r1")
    source = random.Random(21)
    config = CONFIG[:-1] + b', "prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0"}], "ips": []}}'
    before = node.descriptors()
    for _ in range(400):
        env: Mapping[str, str] = environment(
            pod, source.choice(["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION", "X"])
        )
        fuzzed = {
            name: mutated(source, value.encode()).replace(b"\0", b"").decode("utf-8", "surrogateescape")
            if source.random() < 0.2
            else value
            for name, value in env.items()
        }
        reply = decode_reply(exchange(node.socket, encode_request(fuzzed, mutated(source, config)), fds=[pod.fd]))
        if reply.code:
            assert {"cniVersion", "code", "msg"} <= json.loads(reply.body).keys()

    assert_unharmed(node, pod, before)


def assert_unharmed(node: DaemonNode, pod: PodBox, descriptors: int) -> None:
    assert "Traceback" not in node.log()
    call = node.cni_begin("GC", None, **{"cni.dev/valid-attachments": []})
    assert call.wait(20) == 0
    call.communicate()
    assert node.delete(pod).done
    assert node.add(pod).done
    assert node.state("r1") == ("Pending", "PeerNotRunning")
    assert eventually(lambda: node.descriptors() == descriptors)
