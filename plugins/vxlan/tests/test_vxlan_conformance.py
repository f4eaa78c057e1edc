"""Driver vxlan: conformance on underlays of both versions of IP."""

from meshnet_vxlan import VxlanDriver

from meshnet.testing.drivers import DriverTests


class TestVxlan(DriverTests):
    driver_class = VxlanDriver


class TestVxlanOverIPv6(DriverTests):
    driver_class = VxlanDriver
    underlay_family = 6
