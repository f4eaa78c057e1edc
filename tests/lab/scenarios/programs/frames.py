"""Sends one frame of each kind at an interface of a pod, or hears those that come in until stdin ends.

Prints JSON: the names of those that the kernel refused to send; the names of those that came, in order, and whatever
was none of them in hexadecimal.
"""

import json
import os
import select
import sys

from meshnet.testing.frames import CORPUS, FrameSocket


def send(interface):
    refused = []
    with FrameSocket(interface) as out:
        for frame in CORPUS:
            try:
                out.send(frame.data)
            except OSError:
                refused.append(frame.name)
    print(json.dumps(refused))


def hear(interface):
    names = {frame.data: frame.name for frame in CORPUS}
    sources = {frame.data[6:12] for frame in CORPUS}
    came = []
    with FrameSocket(interface) as into:
        print("started", flush=True)
        frame = None
        while frame is not None or not ended():  # what has come before the end is told
            frame = into.receive(0.1)
            if frame is not None and frame[6:12] in sources:
                came.append(names.get(frame, frame.hex()))
    print(json.dumps({"frames": came}))


def ended():
    return select.select([0], [], [], 0)[0] and not os.read(0, 100)


{"send": send, "hear": hear}[sys.argv[1]](sys.argv[2])
