"""The conformance kit of link drivers: proves one on the real kernel.

A driver's author writes, in the driver's own tests::

    from meshnet.testing.drivers import DriverTests
    from my_driver import MyDriver

    class TestMyDriver(DriverTests):
        driver_class = MyDriver

and runs pytest as root, or as anyone within ``unshare --user --map-root-user --net --mount``. Ports are core's own and
real; so are pods, frames and what is compared before and after. What is tested is what the driver declares.
"""

from __future__ import annotations

from meshnet.testing.driver_lifecycle import LifecycleTests
from meshnet.testing.driver_traffic import TrafficTests


class DriverTests(LifecycleTests, TrafficTests):
    """Every conformance test; subclass it and name the driver.

    Attributes:
        driver_class: the driver.
        scope: the kind of link to test it with; by default the first that one node can show and the driver makes.
        options: of every link, as a Topology has them; only needed for what has no default.
        limit_s: how long one call into the driver may take, seconds.
    """
