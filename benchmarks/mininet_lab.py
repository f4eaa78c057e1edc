"""Mininet's side of bench_lab: reads links, makes them and says "up"; at the next line stops and says "down".

For the system's own Python, which has the package.
"""

import sys

from mininet.net import Mininet


def main() -> None:
    net = Mininet(controller=None, build=False)
    hosts = {}
    for line in sys.stdin:
        if line == "end\n":
            break
        left, left_interface, left_address, right, right_interface, right_address = line.split()
        for name in (left, right):
            if name not in hosts:
                hosts[name] = net.addHost(name, ip=None)
        net.addLink(
            hosts[left],
            hosts[right],
            intfName1=f"{left}-{left_interface}",
            intfName2=f"{right}-{right_interface}",
            params1={"ip": left_address},
            params2={"ip": right_address},
        )
    net.build()
    net.start()
    print("up", flush=True)
    sys.stdin.readline()
    net.stop()
    print("down", flush=True)


if __name__ == "__main__":
    main()
