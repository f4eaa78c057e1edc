"""From exec of the CNI plugin to its answer, against a static program that does nothing.

What is in it: exec, opening and entering the pod's namespace, a netlink socket there, one exchange with a daemon in
another process that reads the request, closes what it was handed and answers at once with four interfaces, and exit.
What the real daemon does for an ADD comes on top and is measured elsewhere.

    python benchmarks/cni_exec.py [--calls 200] [--rounds 5]
"""

from __future__ import annotations

import argparse
import array
import asyncio
import contextlib
import importlib.util
import json
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from meshnet.cni.frame import FrameDecoder, encode_reply
from meshnet.cni.plugin import front_script
from meshnet.cni.spec import Interface, compose_result

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
NO_OP = "int main(void) { return 0; }\n"
PREVIOUS = {
    "cniVersion": "1.0.0",
    "interfaces": [{"name": "cni0"}, {"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/r1"}],
    "ips": [{"address": "10.244.0.5/24", "interface": 1}],
}
CONFIG = {"cniVersion": "1.0.0", "name": "net", "type": "meshnet", "prevResult": PREVIOUS}


def build_hook() -> Any:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def programs(directory: Path) -> dict[str, Path]:
    """What is compared, compiled or written into `directory`."""
    compile_plugin = build_hook().compile_plugin
    (directory / "noop.c").write_text(NO_OP)
    found = {
        "static no-op": directory / "noop",
        "plugin (C)": directory / "meshnet",
        "front (Python)": directory / "meshnet-front",
    }
    sources = {"static no-op": directory / "noop.c", "plugin (C)": ROOT / "meshnet/cni/plugin.c"}
    for name, source in sources.items():
        if not compile_plugin(source, found[name]):
            sys.exit("a C compiler is needed")
    found["front (Python)"].write_text(front_script())
    found["front (Python)"].chmod(0o755)
    return found


def serve(path: str) -> None:
    """The other process: answers every request at once."""
    interfaces = [Interface(f"eth{n}", f"02:00:00:00:01:0{n}", "/run/netns/r1") for n in range(1, 5)]
    reply = encode_reply(0, json.dumps(compose_result("1.0.0", PREVIOUS, interfaces)))

    def accept(listener: socket.socket) -> None:
        with listener.accept()[0] as conn:
            decoder, frame = FrameDecoder(), None
            while frame is None:
                data, ancillary, _, _ = conn.recvmsg(65536, socket.CMSG_SPACE(8))
                for _, _, raw in ancillary:
                    for fd in array.array("i", raw):
                        os.close(fd)
                frame = decoder.feed(data)
            conn.sendall(reply)

    async def run() -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen(64)
            asyncio.get_running_loop().add_reader(listener, accept, listener)
            print("ready", flush=True)
            await asyncio.Event().wait()

    asyncio.run(run())


@contextlib.contextmanager
def process(*command: str) -> Iterator[int]:
    """A helper that has said it is ready; its pid. It ends with the block."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as helper:
        assert helper.stdout is not None
        try:
            if helper.stdout.readline() != b"ready\n":
                sys.exit(f"{' '.join(command)} does not start: root, or `unshare -Urn`, is needed")
            yield helper.pid
        finally:
            helper.kill()


def measure(program: Path, config: Path, env: dict[str, str], calls: int) -> list[float]:
    """Seconds from spawn to exit of each call, one after the other."""
    files = [
        (os.POSIX_SPAWN_OPEN, 0, str(config), os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
    ]
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        pid = os.posix_spawn(program, [str(program)], env, file_actions=files)
        _, status = os.waitpid(pid, 0)
        took.append(time.perf_counter() - began)
        if status:
            sys.exit(f"{program} failed: {status}")
    return took


def report(rounds: dict[str, list[list[float]]]) -> None:
    floor = [statistics.median(took) for took in next(iter(rounds.values()))]
    print(f"{'ms, exec to exit':18} {'min':>7} {'median':>7} {'max':>7}   {'p99':>7}   ratio to the no-op of its round")
    for name, every in rounds.items():
        medians = [statistics.median(took) * 1e3 for took in every]
        p99 = statistics.quantiles([seconds for took in every for seconds in took], n=100)[98] * 1e3
        ratios = [median / base / 1e3 for median, base in zip(medians, floor, strict=True)]
        print(
            f"{name:18} {min(medians):7.2f} {statistics.median(medians):7.2f} {max(medians):7.2f}   {p99:7.2f}   "
            f"{min(ratios):.1f} / {statistics.median(ratios):.1f} / {max(ratios):.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=200, help="of each program in each round (Python: a quarter)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    directory = Path(tempfile.mkdtemp(prefix="meshnet-bench-"))
    try:
        compare(directory, options.calls, max(options.rounds, 5))
    finally:
        shutil.rmtree(directory)


def compare(directory: Path, calls: int, count: int) -> None:
    path, config = str(directory / "d.sock"), directory / "config.json"
    config.write_text(json.dumps(CONFIG))
    named = programs(directory)
    rounds: dict[str, list[list[float]]] = {name: [] for name in named}
    with (
        process(sys.executable, __file__, "--serve", path),
        process("unshare", "-n", "sh", "-c", "echo ready; exec sleep 3600") as pod,
    ):
        env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "c1", "CNI_IFNAME": "eth0", "MESHNET_SOCKET": path}
        env["CNI_NETNS"] = f"/proc/{pod}/ns/net"
        for _ in range(count):
            for name in random.sample(list(named), len(named)):
                times = calls // 4 if "Python" in name else calls
                rounds[name].append(measure(named[name], config, env, max(times, 2)))
    report(rounds)


if __name__ == "__main__":
    main()
