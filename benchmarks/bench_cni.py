"""The CNI plugin, from exec to answer, in milliseconds; against a static program that does nothing.

plugin alone: exec, opening the pod's namespace, a netlink socket in it, one exchange with a trivial daemon in another
process that answers at once with four interfaces, exit. The same with the Python front, which stands in for the plugin
where there is no compiler.

ADD, DEL: the same plugin and the real daemon, for a pod with four links to four running pods. In an ADD: four veths
made into the pod with addresses, set up, silenced and marked, tx off, patched at both ends, four carriers, a checkpoint
file, the pod's status in the store (SQLite), the answer. One at a time, and 16 started at once.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import box
from figures import Report, percentile
from local_node import BenchNode, BenchPod, spawn
from programs import BUILD, ROOT, compiled
from wiring import cables, topologies

from meshnet.cni.frame import FrameDecoder, encode_reply
from meshnet.cni.plugin import front_script, plugin_command
from meshnet.cni.result import Interface, compose_result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from figures import Figure

LINKS = 4
TOGETHER = 16
TRIVIAL = "/run/trivial.sock"
CONFIG = Path("/run/config.json")


def serve() -> None:
    """The trivial daemon: answers every request at once."""
    interfaces = [Interface(f"eth{n}", f"02:00:00:00:01:0{n}", "/run/netns/r1") for n in range(1, LINKS + 1)]
    reply = encode_reply(0, json.dumps(compose_result("1.0.0", None, interfaces)))

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
            listener.bind(TRIVIAL)
            listener.listen(64)
            asyncio.get_running_loop().add_reader(listener, accept, listener)
            print("ready", flush=True)
            await asyncio.Event().wait()

    asyncio.run(run())


@contextlib.contextmanager
def trivial_daemon() -> Iterator[None]:
    with subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE) as helper:
        assert helper.stdout is not None
        try:
            if helper.stdout.readline() != b"ready\n":
                sys.exit("the trivial daemon does not start")
            yield
        finally:
            helper.kill()


def exec_times(program: Path, environment: dict[str, str], calls: int) -> list[float]:
    """Return milliseconds from exec to exit of each call, one after the other."""
    took = []
    for _ in range(calls):
        began = time.perf_counter()
        _, status = os.waitpid(spawn(program, environment, CONFIG), 0)
        took.append((time.perf_counter() - began) * 1e3)
        if status:
            sys.exit(f"{program} failed: {status}")
    return took


class Timing:
    """p50 and p99 of one kind of call, a value a round."""

    def __init__(self, report: Report, name: str, *, must: float | None = None, goal: float | None = None) -> None:
        self._p50 = report.figure(f"{name}, p50", "ms", must=must, goal=goal, of_ratio=False)
        self._p99 = report.figure(f"{name}, p99", "ms", of_ratio=False)

    def add(self, milliseconds: list[float], floor: list[float]) -> None:
        """Take a round's calls, and those of the program that does nothing."""
        for figure, part in ((self._p50, 0.5), (self._p99, 0.99)):
            figure.ours.append(percentile(milliseconds, part))
            figure.theirs.append(percentile(floor, part))


class Bench:
    """The figures, and a round of each."""

    def __init__(self, report: Report, node: BenchNode, calls: int, repeats: int) -> None:
        self._node = node
        self._calls = calls
        self._repeats = repeats
        self._noop = compiled(ROOT / "benchmarks" / "noop.c")
        self._front = BUILD / "meshnet-front"
        self._front.write_text(front_script())
        self._front.chmod(0o755)
        self._plain = Timing(report, "plugin, trivial daemon")
        self._python = Timing(report, "Python front, trivial daemon")
        self._add = Timing(report, f"ADD of {LINKS} links, alone", must=8, goal=3.5)
        self._add_together = Timing(report, f"ADD of {LINKS} links, {TOGETHER} at once")
        self._del = Timing(report, f"DEL of {LINKS} links, alone")
        self._del_together = Timing(report, f"DEL of {LINKS} links, {TOGETHER} at once")
        self._each: Figure = report.figure(f"{TOGETHER} ADDs at once, each", "ms", of_ratio=False)

    def round(self) -> None:
        """Measure everything once, the program that does nothing between everything else."""
        pod = BenchPod("plain")
        environment = pod.environment("ADD") | {"MESHNET_SOCKET": TRIVIAL}
        plan = [("noop", self._noop)] * 2 + [("plugin", plugin_command())] * 2 + [("front", self._front)] * 2
        found: dict[str, list[float]] = {"noop": [], "plugin": [], "front": []}
        for name, program in random.sample(plan, len(plan)):
            calls = self._calls // 10 if name == "front" else self._calls // 2
            found[name] += exec_times(program, environment, max(calls, 2))
        pod.remove()
        floor = found["noop"]
        self._plain.add(found["plugin"], floor)
        self._python.add(found["front"], floor)
        self._whole(floor)

    def _whole(self, floor: list[float]) -> None:
        added, deleted, added_together, deleted_together, spans = [], [], [], [], []
        for _ in range(self._repeats):
            pods = [BenchPod(f"pod{number}") for number in range(TOGETHER)]
            added += [self._node.call("ADD", pod) for pod in pods]
            deleted += [self._node.call("DEL", pod) for pod in pods]
            self._renew(pods)
            took, span = self._node.call_together("ADD", pods)
            added_together += took
            spans.append(span / TOGETHER * 1e3)
            deleted_together += self._node.call_together("DEL", pods)[0]
            self._renew(pods)
            for pod in pods:
                pod.remove()
        self._each.ours.append(percentile(spans, 0.5))
        for timing, seconds in (
            (self._add, added),
            (self._del, deleted),
            (self._add_together, added_together),
            (self._del_together, deleted_together),
        ):
            timing.add([each * 1e3 for each in seconds], floor)

    def _renew(self, pods: list[BenchPod]) -> None:
        """Replace deleted pods by new sandboxes of the same names."""
        for number, pod in enumerate(pods):
            pod.remove()
            pods[number] = BenchPod(pod.name)


def main() -> None:
    asked = box.options(__doc__, serve={"action": "store_true", "help": "be the trivial daemon"})
    if asked.serve:
        serve()
        return
    box.enter()
    CONFIG.write_text(json.dumps({"cniVersion": "1.0.0", "name": "bench", "type": "meshnet"}))
    pairs = [(f"pod{number}", f"hub{hub}") for number in range(TOGETHER) for hub in range(LINKS)]
    report = Report("bench_cni", asked.rounds, asked.output)
    with BenchNode.running(topologies(cables(pairs))) as node, trivial_daemon():
        node.add_all([BenchPod(f"hub{hub}") for hub in range(LINKS)])
        bench = Bench(report, node, *((60, 2) if asked.quick else (200, 5)))
        for _ in range(asked.rounds):
            report.quiet(asked.patience)
            bench.round()
    report.finish()


if __name__ == "__main__":
    main()
