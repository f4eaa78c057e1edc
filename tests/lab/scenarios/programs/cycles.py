"""Takes all pods of a lab down and up again, so often: ``cycles.py LAB CYCLES``. Prints JSON after each.

It asks the lab's own socket, as `meshnet lab stop` and `start` do, without a process for each of them.
"""

import concurrent.futures
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from meshnet.cni.client import ask
from meshnet.lab.control import ask_lab
from meshnet.lab.enter import enter_box
from meshnet.lab.record import find_lab

AT_ONCE = 16
SETTLE_S = 60
NODE = Path("/run/meshnet/nodes/n1")


def main(lab, cycles):
    enter_box(find_lab(lab))
    pods = [f"{pod['namespace']}/{pod['name']}" for pod in ask_lab("status")[0]["pods"]]
    links = ask(NODE / "meshnetd.sock", "summary")["endpoints"]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as workers:
        for cycle in range(1, cycles + 1):
            began = time.monotonic()
            list(workers.map(lambda pod: ask_lab("stop", pod=pod), pods))
            down = time.monotonic()
            left = wait(lambda: any(leftovers().values()))
            gone = time.monotonic()
            list(workers.map(lambda pod: ask_lab("start", pod=pod), pods))
            not_up = wait(lambda: ask(NODE / "meshnetd.sock", "summary")["up"] != links)
            told = {"cycle": cycle, "down_s": down - began, "up_s": time.monotonic() - gone, **daemon()}
            print(json.dumps(told | {"left": leftovers_of(left), "not_up": not_up}), flush=True)


def wait(wrong):
    """Wait until nothing is wrong any more; tell whether it still is after bounded time."""
    deadline = time.monotonic() + SETTLE_S
    while (still := wrong()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return bool(still)


def leftovers_of(left):
    return leftovers() if left else {}


def leftovers():
    """What a pod leaves behind when it should leave nothing, counted."""
    links = json.loads(subprocess.run(["ip", "-n", "n1", "-j", "link"], capture_output=True, check=True).stdout)
    return {
        "ports": sum(link["ifname"].startswith("mn") for link in links),
        "checkpoints": len(list((NODE / "sandboxes").glob("*"))),
        "sandboxes": len(ask(NODE / "meshnetd.sock", "sandboxes")["sandboxes"]),
        "namespaces": len(list(Path("/run/netns").glob("cni-*"))),
    }


def daemon():
    (node,) = ask_lab("status")[0]["nodes"]
    process = Path("/proc", str(node["pid"]))
    status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    return {
        "rss_mb": int(status["VmRSS"].split()[0]) / 1024,
        "descriptors": len(os.listdir(process / "fd")),
        "threads": int(status["Threads"]),
    }


main(sys.argv[1], int(sys.argv[2]))
