"""``meshnet daemon``: the daemon of a node, in the foreground."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING

from meshnet.cli.target import refuse_elsewhere
from meshnet.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from meshnet.cli.parser import Subparsers

PYTHONS_OWN = 700
"""New objects until Python looks for garbage, once the daemon has started: with more of it lying about, a daemon that
makes and removes pods all day would grow."""


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "daemon",
        description="Run this node's daemon in the foreground until SIGTERM, which leaves every link as it is. "
        "Settings come from the environment (NODE_NAME, HOST_IP, MESHNET_...); a file's lines count where the "
        "environment has none; docs/cli.md lists them all. With --probe or --ask it runs none, and asks the one that "
        "runs here with these settings: exit code 0 when it is so, else 1, or 3 when it does not answer.",
        example="MESHNET_STORE=sqlite:/var/lib/meshnet/store.db meshnet daemon --config /etc/meshnet/daemon.conf",
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="lines of NAME=VALUE")
    question = parser.add_mutually_exclusive_group()
    question.add_argument(
        "--probe",
        choices=("live", "ready"),
        help="ask the running daemon whether it answers (live), and has read its store (ready)",
    )
    question.add_argument(
        "--ask",
        metavar="QUERY",
        help="print its answer to a query as JSON: links, states, summary, sandboxes, drivers, peers, health; so do "
        "commands that act on a cluster, in the pod of each daemon",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    refuse_elsewhere(args, "daemon")
    given = {name: value for name, value in os.environ.items() if value}  # an empty one counts as absent
    env = {**(_configured(args.config) if args.config else {}), **given}
    if args.ask is not None:
        from meshnet.cli.relay import relay  # noqa: PLC0415 - as for a probe

        return relay(args.ask, env)
    if args.probe:
        from meshnet.cli.probe import probe  # noqa: PLC0415 - a probe comes every few seconds: it imports little

        return probe(args.probe, env)
    from meshnet.daemon.logs import configure  # noqa: PLC0415 - only this command needs the daemon
    from meshnet.daemon.run import run as run_daemon  # noqa: PLC0415
    from meshnet.daemon.settings import Settings  # noqa: PLC0415

    settings = Settings.read(env)
    gc.set_threshold(PYTHONS_OWN)
    configure("debug" if args.verbose else settings.log_level, settings.log_format)
    run_daemon(settings)
    return 0


def _configured(path: Path) -> Mapping[str, str]:
    """Return the settings in the file that ``--config`` names. Raises UsageError, and InvalidObject for its lines."""
    from meshnet.daemon.settings import read_file  # noqa: PLC0415 - as above

    try:
        return read_file(path)
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else f"byte {error.start} is no UTF-8 text"
        raise UsageError(f"--config {path}: {why}: must be a text file, lines of NAME=VALUE") from error
