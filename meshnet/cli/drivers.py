"""``meshnet drivers``: the link drivers that are installed here, and whether they work."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import signal
from typing import TYPE_CHECKING, Any

from meshnet.cli.output import emit
from meshnet.cli.parser import add_output_option
from meshnet.cli.table import Column
from meshnet.cli.target import names_place
from meshnet.cli.throwaway import TIMEOUT_S, in_throwaway
from meshnet.daemon.underlay import find_underlay
from meshnet.driver import DriverContext
from meshnet.driver.listing import driver_rows
from meshnet.driver.registry import START_LIMIT_S, Registry
from meshnet.netlink import Netlink, links

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from meshnet.cli.parser import Subparsers

COLUMNS = (
    Column("NAME"),
    Column("VERSION"),
    Column("DISTRIBUTION"),
    Column("SCOPE"),
    Column("CLAIMS"),
    Column("STATE"),
    Column("CARRIES", wide=True),
    Column("HONEST", wide=True),
    Column("MADE AS", wide=True),
    Column("REASON"),
)
LOOPBACK = 1
STOP_LIMIT_S = 1.0
"""How long all of them may take to stop: what they leave is gone with the namespace."""
NONE_INSTALLED = "no link driver is installed; install all of them: pip install 'meshnet-cni[all]'"


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "drivers",
        description="List the link drivers installed here; each is started in a throw-away network namespace to see "
        "whether it works on this kernel. No daemon is needed. Where a lab or a cluster is named (--lab, --context, "
        "--kubeconfig, kubectl meshnet), those of its nodes, as `get drivers` does.",
        example="meshnet drivers -o json",
    )
    add_output_option(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.kubectl or names_place(args):
        from meshnet.cli import get  # noqa: PLC0415 - shows what this module lists

        args.what, args.name, args.all_namespaces, args.namespace = "drivers", None, False, None
        return get.run(args)
    found = installed_drivers()
    emit(args, found, COLUMNS, [cells(row) for row in found], empty=NONE_INSTALLED)
    return 0


def cells(row: Mapping[str, Any]) -> Sequence[str]:
    """Return one driver's row of the table."""
    return (
        row["name"],
        row["version"],
        row["distribution"],
        ", ".join(row.get("scopes") or ()),
        ", ".join(row.get("claims") or ()),
        row["state"],
        row.get("carries") or "",
        {True: "yes", False: "no", None: ""}[row.get("honest")],
        row.get("attachment") or "",
        row.get("reason") or "",
    )


def installed_drivers(*, limit_s: float = START_LIMIT_S) -> list[dict[str, Any]]:
    """Return every installed driver's row, after it was started in a throw-away network namespace.

    Args:
        limit_s: seconds for one to be imported, and to start; whoever takes longer is broken, or unusable.
    """
    found: list[dict[str, Any]] = in_throwaway(functools.partial(_started, limit_s), 3 * limit_s + TIMEOUT_S)
    return found


def _started(limit_s: float) -> list[dict[str, Any]]:
    registry = Registry.load(within=functools.partial(_interrupted, limit_s))
    # Never closed, and known to asyncio until the process ends: closing it waits for what a driver has left running.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.run_until_complete(_start_and_stop(registry, limit_s))
    return driver_rows(registry)


@contextlib.contextmanager
def _interrupted(limit_s: float, waits: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """Raise an error in what still runs after `limit_s` seconds, unless it `waits`, and again, should it go on."""

    def give_up(*_: object) -> None:
        if not waits():
            raise TimeoutError(f"not done after {limit_s:g} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, limit_s, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


async def _start_and_stop(registry: Registry, limit_s: float) -> None:
    with Netlink.open() as netlink:
        netlink.run([links.set_link(LOOPBACK, up=True)])  # with its address, as an underlay
        underlay = find_underlay(netlink, address="127.0.0.1", interface="lo", mtu=1500)
        with _interrupted(limit_s, _loop_waits):
            await registry.start_all(
                lambda name: DriverContext(
                    node="try",
                    netlink=netlink,
                    log=logging.getLogger(f"meshnet.driver.{name}"),
                    allocate=lambda _pool, _endpoint: 1,
                    changed=lambda _endpoint, _reason: None,
                    pod=lambda _endpoint: None,
                    underlay=underlay,
                ),
                limit_s=limit_s,
            )
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STOP_LIMIT_S):
                    await registry.stop_all()


def _loop_waits() -> bool:
    """Tell whether the loop waits: then it ends what is late. One that a driver holds up would end nothing."""
    return asyncio.current_task() is None
