"""Driver grpcwire: conformance, on an underlay whose MTU is below that of its links."""

from meshnet_grpcwire import GrpcwireDriver

from meshnet.testing.drivers import DriverTests


class TestGrpcwire(DriverTests):
    driver_class = GrpcwireDriver
    tells_within_s = 20.0
