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

from meshnet.testing.driver_lasting import LastingTests
from meshnet.testing.driver_lifecycle import LifecycleTests
from meshnet.testing.driver_peers import PeerTests
from meshnet.testing.driver_traffic import TrafficTests
from meshnet.testing.driver_underlay import UnderlayTests


class DriverTests(LifecycleTests, TrafficTests, PeerTests, UnderlayTests, LastingTests):
    """Every conformance test; subclass it and name the driver.

    Attributes:
        driver_class: the driver.
        scope: the kind of link to test it with; by default links between nodes, if the driver makes them, and the first
            kind that it makes of those that one node can show.
        options: of every link, as a Topology has them; only needed for what has no default.
        settings: the daemon's that are named after the driver.
        limit_s: how long one call into the driver may take, seconds.
        underlay_mtu: of what nodes reach each other by, bytes.
        underlay_family: of the addresses there, 4 or 6.
        tells_within_s: how long after its path failed, or came back, the driver tells so by `DriverContext.changed`,
            seconds; None when it never does.
    """
