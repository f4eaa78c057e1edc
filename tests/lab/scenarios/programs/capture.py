"""Captures what an interface of a pod receives, as a program that reads raw frames sees it, until stdin ends.

Prints JSON: how many frames, the longest one's bytes above the Ethernet header, and how many have a wrong checksum.
"""

import json
import os
import select
import socket
import struct
import sys

ETH_P_ALL = 3
PACKET_OUTGOING = 4


def main(interface):
    found = {"frames": 0, "tcp": 0, "longest": 0, "wrong": 0}
    # Protocol 0 hears nothing, so nothing of another interface comes in before the bind.
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as packets:
        packets.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        packets.bind((interface, ETH_P_ALL))
        print("started", flush=True)
        while True:
            ready, _, _ = select.select([packets, 0], [], [])
            if packets in ready:
                frame, where = packets.recvfrom(1 << 19)
                if where[2] != PACKET_OUTGOING:
                    judge(frame, found)
            elif not os.read(0, 100):
                break
    print(json.dumps(found))


def judge(frame, found):
    found["frames"] += 1
    packet = frame[14:]
    found["longest"] = max(found["longest"], len(packet))
    if frame[12:14] != b"\x08\x00" or packet[9] != socket.IPPROTO_TCP:
        return
    found["tcp"] += 1
    head = (packet[0] & 15) * 4
    segment = packet[head : struct.unpack_from("!H", packet, 2)[0]]
    pseudo = packet[12:20] + struct.pack("!HH", 6, len(segment))
    found["wrong"] += checksum(pseudo + segment) != 0


def checksum(data):
    data += bytes(len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


main(sys.argv[1])
