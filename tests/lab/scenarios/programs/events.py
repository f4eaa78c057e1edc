"""Writes what happens to the interfaces and addresses of a pod, a line of JSON each, until stdin ends.

``at`` is CLOCK_MONOTONIC in seconds, the same in every process of the machine.
"""

import json
import os
import select
import socket
import struct
import time

RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR = 0x1, 0x10, 0x100
KINDS = {16: "link", 17: "link gone", 20: "address", 21: "address gone"}
IFF_UP, IFF_LOWER_UP = 0x1, 0x10000
IFLA_IFNAME = 3
RT_SCOPE_LINK = 253


def main():
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as events:
        events.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        events.bind((0, RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR))
        tell({"kind": "started"})
        poll = select.poll()
        for fd in (0, events.fileno()):
            poll.register(fd, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if events.fileno() in ready:
                report(events.recv(1 << 16))
            elif not os.read(0, 100):
                return


def report(data):
    while len(data) >= 16:
        length, kind = struct.unpack_from("=IH", data)
        payload, data = data[16:length], data[(length + 3) & ~3 :]
        if kind not in KINDS:
            continue
        told = {"kind": KINDS[kind]}
        if kind in (16, 17):
            _, _, ifindex, flags, _changed = struct.unpack_from("=BxHiII", payload)
            name = attribute(payload[16:], IFLA_IFNAME).rstrip(b"\0").decode()
            told |= {"name": name, "up": bool(flags & IFF_UP), "carrier": bool(flags & IFF_LOWER_UP)}
        elif (kind, payload[3]) == (20, RT_SCOPE_LINK):
            continue  # the kernel tells of a link-local address again when it has found it to be unique
        else:
            (ifindex,) = struct.unpack_from("=I", payload, 4)
        tell(told | {"ifindex": ifindex})


def attribute(data, wanted):
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if kind & 0x3FFF == wanted:
            return data[4:length]
        data = data[(length + 3) & ~3 :]
    return b""


def tell(what):
    print(json.dumps({"at": time.monotonic(), **what}), flush=True)


main()
