"""The first process of a machine: sets up what is in its namespaces, then keeps its daemons running."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import sys
import traceback
from pathlib import Path

from tests.cluster.machine import control, filesystem, forward, network
from tests.cluster.machine.boot import DOOR
from tests.cluster.machine.daemons import Machine
from tests.cluster.machine.supervisor import Supervisor

CONTROL = "control.sock"


def main() -> None:
    """Boot the machine that the file of the first argument describes, and run until killed."""
    machine = Machine.of_json(json.loads(Path(sys.argv[1]).read_text()))
    with socket.socket(socket.AF_UNIX) as door:
        door.connect(f"{machine.directory}/{DOOR}")
        door.recv(2)
        try:
            _set_up(machine)
        except Exception:
            door.sendall(traceback.format_exc().encode())
            raise
        asyncio.run(_keep(machine, door))


def _set_up(machine: Machine) -> None:
    network.set_up(machine.network)
    if machine.node:
        filesystem.set_up(machine)


async def _keep(machine: Machine, door: socket.socket) -> None:
    if machine.lifeline:
        asyncio.get_running_loop().add_reader(0, _end_with_starter, machine)
    if machine.listener >= 0:
        os.set_inheritable(machine.listener, False)
        await forward.serve(machine.listener, machine.forward_to)
    directory = Path(machine.directory)
    logs = directory / "log"
    logs.mkdir(exist_ok=True)
    supervisor = Supervisor(machine.daemons, logs)
    await control.serve(directory / CONTROL, supervisor)
    door.sendall(b"ready")
    door.close()
    await supervisor.run()


def _end_with_starter(machine: Machine) -> None:
    """Nothing is ever written to standard input: it is readable when its other end is closed."""
    if machine.temporary:
        os.kill(-1, signal.SIGKILL)
        shutil.rmtree(machine.directory, ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main()
