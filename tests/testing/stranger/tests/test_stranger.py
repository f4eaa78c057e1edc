from meshnet_stranger.stream import StreamWire
from meshnet_stranger.udp import UdpWire

from meshnet.testing.drivers import DriverTests


class TestUdpWire(DriverTests):
    driver_class = UdpWire


class TestUdpWireV6(DriverTests):
    driver_class = UdpWire
    underlay_family = 6


class TestStreamWire(DriverTests):
    driver_class = StreamWire
    tells_within_s = 5.0
