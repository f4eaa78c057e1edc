"""Sends frames to a node's VXLAN port: ``send_vxlan.py ADDRESS PORT VNI COUNT``."""

import socket
import struct
import sys

BROADCAST = bytes.fromhex("ffffffffffff02000000beef88b5") + b"from a stranger".ljust(46)
VNI_IS_THERE = 0x08000000


def main(address, port, vni, count):
    packet = struct.pack(">II", VNI_IS_THERE, vni << 8) + BROADCAST
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        for _ in range(count):
            plain.sendto(packet, (address, port))


main(sys.argv[1], *map(int, sys.argv[2:]))
