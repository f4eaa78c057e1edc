"""Driver macvlan: conformance in each mode that allows more than one on a parent."""

from meshnet_macvlan import MacvlanDriver

from meshnet.testing.drivers import DriverTests


class TestMacvlan(DriverTests):
    driver_class = MacvlanDriver


class TestMacvlanPrivate(DriverTests):
    driver_class = MacvlanDriver
    options = {"mode": "private"}  # noqa: RUF012 - as its author writes it


class TestMacvlanVepa(DriverTests):
    driver_class = MacvlanDriver
    options = {"mode": "vepa"}  # noqa: RUF012
