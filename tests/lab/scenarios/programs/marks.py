"""Sends frames that say whose they are from every interface of a pod, and writes down whose frames come in.

``marks.py POD``: a line of JSON for each (interface, who sent) and second until stdin ends. A frame is an Ethernet
broadcast of the type that is kept for experiments, and says ``POD:INTERFACE``. ``at`` is CLOCK_MONOTONIC in seconds,
the same in every process of the machine.
"""

import json
import os
import select
import socket
import sys
import time

TYPE = 0x88B5
EVERY_S = 0.02
BROADCAST = b"\xff" * 6


def main(pod):
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(TYPE)) as wire:
        wire.setblocking(False)
        poll = select.poll()
        for fd in (0, wire.fileno()):
            poll.register(fd, select.POLLIN)
        print(json.dumps({"started": pod}), flush=True)
        due, seen, second = time.monotonic(), {}, 0
        while True:
            ready = dict(poll.poll(max(0, (due - time.monotonic()) * 1000)))
            if 0 in ready and not os.read(0, 100):
                break
            take(wire, seen)
            if time.monotonic() >= due:
                due = time.monotonic() + EVERY_S
                send(wire, pod)
            if int(time.monotonic()) != second:
                second = int(time.monotonic())
                tell(seen)
        tell(seen)


def send(wire, pod):
    for _, name in socket.if_nameindex():
        if name == "lo":
            continue
        frame = BROADCAST + b"\x02\x00\x00\x00\x00\x01" + TYPE.to_bytes(2, "big") + f"{pod}:{name}".encode().ljust(46)
        try:
            wire.sendto(frame, (name, 0))
        except OSError:
            continue  # down, or gone: it says nothing


def take(wire, seen):
    while True:
        try:
            frame, address = wire.recvfrom(2048)
        except OSError:
            return
        if address[2] == socket.PACKET_OUTGOING:
            continue
        sender = frame[14:].decode(errors="replace").strip().strip("\0")
        at = time.monotonic()
        first, _, count = seen.get((address[0], sender), (at, at, 0))
        seen[address[0], sender] = (first, at, count + 1)


def tell(seen):
    for (interface, sender), (first, last, count) in seen.items():
        print(json.dumps({"at": interface, "from": sender, "first": first, "last": last, "count": count}), flush=True)
    seen.clear()


main(sys.argv[1])
