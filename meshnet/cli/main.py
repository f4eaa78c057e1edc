"""``meshnet``: find the command, run it, turn errors into one line and an exit code."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
import traceback
from typing import TYPE_CHECKING, cast

from meshnet import __version__
from meshnet.cli import exitcodes
from meshnet.cli.parser import OPTIONS_WITH_VALUE, CommandParser, global_defaults
from meshnet.cli.streams import StdoutFull, guarded_stderr, guarded_stdout, open_closed_streams
from meshnet.errors import MeshnetError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence
    from typing import TextIO

COMMANDS: Mapping[str, str] = {
    "lab": "run topologies on this machine, without Kubernetes",
    "apply": "create or change Topologies from files",
    "delete": "delete Topologies",
    "check": "say what is wrong in files, without a daemon",
    "get": "show topologies, links, nodes, sandboxes, drivers or events",
    "link": "unplug or plug a cable",
    "wait": "wait until links are up or down",
    "drivers": "list the installed link drivers",
    "doctor": "check this machine or a cluster, and say what to do about each finding",
    "daemon": "run the node daemon",
    "cni": "install meshnet on this node, or take it away",
}
"""Every command and what it is for, in the order of ``--help``.

Each is a module of this package with ``register(subparsers)``; only the one that is asked for is imported, so that a
command's imports cost the others nothing.
"""

NEW_OBJECTS = 10_000
"""So many new objects until Python looks for garbage in cycles. At 700, as Python has it, that takes a twelfth of the
start of a command."""

KUBECTL = "kubectl meshnet"

DESCRIPTION = "Wire pods into a network topology."
EXAMPLE = "meshnet lab up examples/3node.yml\nmeshnet get links\nmeshnet lab down"


def build_parser(*loaded: str, prog: str = "meshnet") -> CommandParser:
    """Return the parser that knows every command by name, and those `loaded` in full; `prog` is how it was called."""
    parser = CommandParser(prog=prog, description=DESCRIPTION, example=EXAMPLE)
    parser.add_argument("--version", action="version", version=f"meshnet {__version__}")
    subparsers = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for command, purpose in COMMANDS.items():
        if command in loaded:
            importlib.import_module(f"meshnet.cli.{command}").register(subparsers)
        else:
            subparsers.add_parser(command, help=purpose)
    return parser


def parse(arguments: Sequence[str], prog: str = "meshnet") -> argparse.Namespace:
    """Return the parsed command line. Raises UsageError."""
    args = build_parser(_command_of(arguments) or "", prog=prog).parse_args(arguments, global_defaults())
    args.lab = args.typed_lab or args.lab
    args.kubectl = prog == KUBECTL
    return args


def called_as(program: str) -> str:
    """Return what a user types to run `program`: kubectl runs its plugin ``kubectl-meshnet`` as a verb of its own."""
    return KUBECTL if os.path.basename(program) == "kubectl-meshnet" else "meshnet"


def _command_of(arguments: Sequence[str]) -> str | None:
    """Return the first word that is neither an option nor the value of one."""
    words = iter(arguments)
    for word in words:
        if word in OPTIONS_WITH_VALUE:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line and return its exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    open_closed_streams()
    gc.set_threshold(NEW_OBJECTS)
    try:
        with contextlib.redirect_stderr(cast("TextIO", guarded_stderr())):
            return _exit_code(given)
    finally:
        _forget_unwritten(sys.stderr)


def _exit_code(given: Sequence[str]) -> int:
    try:
        with contextlib.redirect_stdout(cast("TextIO", guarded_stdout())):
            return _run(given)
    except StdoutFull as error:
        _forget_unwritten(sys.stdout)
        return _report(error, verbose=False)
    except KeyboardInterrupt:
        return exitcodes.INTERRUPTED
    except BrokenPipeError:
        _forget_unwritten(sys.stdout)
        return exitcodes.BROKEN_PIPE


def _run(given: Sequence[str]) -> int:
    verbose = "-v" in given or "--verbose" in given
    try:
        args = parse(given, called_as(sys.argv[0]))
        verbose = args.verbose
        run = cast("Callable[[argparse.Namespace], int]", args.run)
        return run(args)
    except StdoutFull:
        raise
    except MeshnetError as error:
        return _report(error, verbose=verbose)
    finally:
        sys.stdout.flush()  # also after --help, which ends in SystemExit


def _report(error: MeshnetError, *, verbose: bool) -> int:
    from meshnet.model.printable import printable  # noqa: PLC0415 - only for an error

    if verbose:
        print(*map(printable, "".join(traceback.format_exception(error)).splitlines()), sep="\n", file=sys.stderr)
    print("error:", printable(" ".join(str(error).splitlines())), file=sys.stderr)
    return exitcodes.exit_code(type(error))


def _forget_unwritten(stream: TextIO) -> None:
    # the interpreter flushes it at exit, would complain about the same again, and end with a code of its own
    try:
        stream.flush()
    except OSError:
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, stream.fileno())
        os.close(devnull)
