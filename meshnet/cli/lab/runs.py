"""``meshnet lab run``: up, ping every link both ways or run a command, report, down."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.cli.files import FILE_HELP
from meshnet.cli.lab.up import add_up_options, bring_up, print_report
from meshnet.cli.table import NAMESPACE, Column, show
from meshnet.model.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Mapping, Sequence

    from meshnet.cli.lab.ending import Ending
    from meshnet.cli.lab.verbparser import Verbs
    from meshnet.lab.record import LabRecord

NODE = "NODE"
COMMAND_GRACE_S = 10.0
"""So long may CMD take to end when it is told to."""
INTERRUPT_S = 1.0
"""Who interrupts this process has mostly interrupted CMD, too: it is not told twice unless it goes on for so long."""
COLUMNS = [
    Column(NAMESPACE),
    Column("UID", right=True),
    Column("A"),
    Column("B"),
    Column(NODE),
    Column("DRIVER"),
    Column("STATE"),
    Column("A TO B", right=True),
    Column("B TO A", right=True),
    Column("WHY"),
]


def register(subparsers: Verbs) -> None:
    parser = subparsers.add_parser(
        "run",
        description="Start a lab, ping every link both ways (or run CMD on this machine with MESHNET_LAB set), print a "
        "table of the links, end the lab. Exit code 0 when all links are up and every ping was answered (and CMD "
        "ended with 0; else CMD's own). However this ends, the lab is gone; a SIGTERM or SIGHUP is told to CMD.",
        example="meshnet lab run examples/3node.yml\nmeshnet lab run topology/ -- pytest tests/",
    )
    add_up_options(parser)
    parser.add_argument("files", metavar="FILE", nargs="+", help=FILE_HELP)
    parser.take_command()
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from meshnet.cli.lab.ending import Ending, ToldToEnd  # noqa: PLC0415 - `lab list` needs nothing of it

    try:
        with Ending() as ending:
            return _run(args, ending)
    except ToldToEnd as told:
        return 128 + told.number


def _run(args: argparse.Namespace, ending: Ending) -> int:
    lab = bring_up(args)
    record, command = lab.record, args.after_dashes
    try:
        print_report(lab, quiet=args.quiet)
        code = 0 if lab.report["ok"] else 1
        return (_command(command, record.name, ending) if command else _survey(args, record)) or code
    finally:
        lab.end()
        if not args.quiet:
            print(f"lab {record.name}: gone", file=sys.stderr)


def _command(command: list[str], lab: str, ending: Ending) -> int:
    from meshnet.lab.enter import not_started_code, shell_code  # noqa: PLC0415

    with contextlib.ExitStack() as stack:
        try:
            with ending.postponed():
                process = stack.enter_context(_started(command, lab))
        except OSError as error:
            print(f"error: {printable(command[0])}: {error.strerror}", file=sys.stderr)
            return not_started_code(error)
        with _interrupts_left_to_command():
            return shell_code(process.wait())


@contextlib.contextmanager
def _started(command: list[str], lab: str) -> Iterator[subprocess.Popen[bytes]]:
    """Start a command for the length of a ``with``: it is told when this process is told to end, and then killed."""
    from meshnet.cli.lab.ending import ToldToEnd  # noqa: PLC0415

    process = subprocess.Popen(command, env={**os.environ, "MESHNET_LAB": lab})
    try:
        yield process
    except ToldToEnd as told:
        _tell(process, told.number)
        raise
    except KeyboardInterrupt:
        if not _ends(process, INTERRUPT_S):
            _tell(process, signal.SIGINT)
        raise
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _interrupts_left_to_command() -> Iterator[None]:
    """At a terminal ^C is CMD's affair, as in a shell: an interactive one goes on."""
    if sys.stdin is None or not sys.stdin.isatty():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _tell(process: subprocess.Popen[bytes], number: int) -> None:
    process.send_signal(number)
    _ends(process, COMMAND_GRACE_S)


def _ends(process: subprocess.Popen[bytes], within_s: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(within_s)
    return process.poll() is not None


def _survey(args: argparse.Namespace, record: LabRecord) -> int:
    """Ping from inside the box, in a child: this process goes on to end the lab."""
    from meshnet.lab.enter import in_child_of_box  # noqa: PLC0415

    reading, writing = os.pipe2(os.O_CLOEXEC)

    def inside() -> int:
        os.close(reading)
        with os.fdopen(writing, "w") as pipe:
            json.dump(_rows(record.name), pipe)
        return 0

    finish = in_child_of_box(record, inside)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    code = finish()
    if code:
        return code
    rows: list[dict[str, Any]] = json.loads(text)
    show(_columns(rows), [_cells(row) for row in rows], empty="" if args.quiet else "no links")
    bad = sum(any(time is None for way in row["times"] for time in way) for row in rows)
    silent = sum(not way for row in rows for way in row["times"])
    if not args.quiet:
        pinged = sum(len(way) for row in rows for way in row["times"])
        print(f"{len(rows)} links, {pinged} pings, {bad} links with a ping unanswered, {silent} ends not pinged")
    return 1 if bad else 0


def _columns(rows: Sequence[Mapping[str, Any]]) -> Sequence[Column]:
    """Return the columns that tell something: those of namespace and node only where there are several."""
    several = {
        NAMESPACE: len({row["namespace"] for row in rows}) > 1,
        NODE: len({end.get("node") for row in rows for end in row["endpoints"]}) > 1,
    }
    return [attrs.evolve(column, wide=not several.get(column.title, True)) for column in COLUMNS]


def _rows(lab: str) -> list[dict[str, Any]]:
    """Return every link of the lab with its ping times each way."""
    from meshnet.cli.links import ends, join  # noqa: PLC0415
    from meshnet.cli.targets.lab import Lab  # noqa: PLC0415
    from meshnet.lab.control import ask_lab  # noqa: PLC0415
    from meshnet.lab.survey import survey, ways  # noqa: PLC0415
    from meshnet.model.codec import decode_topology  # noqa: PLC0415
    from meshnet.model.resource import Kind  # noqa: PLC0415
    from meshnet.model.topology import Endpoint  # noqa: PLC0415

    target = Lab(lab, None)
    resources = target.objects(Kind.TOPOLOGY)
    status, _ = ask_lab("status")
    namespaces = {(pod["namespace"], pod["name"]): pod["netns"] for pod in status["pods"] if pod["netns"]}
    outcomes = survey(ways([decode_topology(resource.document) for resource in resources], namespaces))
    rows = join(ends(resources), target.ask("links").rows("links"))
    for row in rows:
        places = [Endpoint(row["namespace"], end["pod"], end["interface"]) for end in row["endpoints"]]
        pairs = list(zip(places, places[::-1], strict=True)) if len(places) > 1 else _from(places[0], outcomes)
        row["times"] = [[pong.rtt_ms for pong in outcomes.get(pair, ())] for pair in pairs]
        row["errors"] = sorted({pong.error for pair in pairs for pong in outcomes.get(pair, ()) if pong.error})
    return rows


def _from(place: Any, outcomes: Mapping[Any, Any]) -> list[Any]:
    return [pair for pair in outcomes if pair[0] == place]


def _cells(row: Mapping[str, Any]) -> list[str]:
    a, *others = row["endpoints"]
    b = f"{others[0]['pod']}:{others[0]['interface']}" if others else f"(node) {row.get('parent', '')}"
    times = [_time(way) for way in row["times"]] + ["", ""]
    told = ": ".join(filter(None, (row.get("reason"), row.get("message"), *row["errors"]))) or (row["why"] or "")
    return [
        row["namespace"],
        str(row["uid"]),
        f"{a['pod']}:{a['interface']}",
        b,
        " / ".join(dict.fromkeys(end.get("node") or "-" for end in row["endpoints"])),
        row["driver"] or "",
        row["state"],
        times[0],
        times[1],
        told,
    ]


def _time(way: list[float | None]) -> str:
    if not way:
        return ""
    return "lost" if None in way else f"{max(time for time in way if time is not None):.2f} ms"
