"""Links between nodes in user space: frames over UDP, and over streams."""

from meshnet.driver import hookimpl

from .stream import StreamWire
from .udp import UdpWire


@hookimpl
def meshnet_register_drivers(register):
    register(UdpWire)
    register(StreamWire)
