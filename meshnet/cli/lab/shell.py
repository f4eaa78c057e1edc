"""``meshnet lab exec`` and ``logs``: what a user sees of one pod."""

from __future__ import annotations

import contextlib
import os
import select
from typing import TYPE_CHECKING, NoReturn

from meshnet.errors import DaemonUnreachable, MeshnetError, UsageError
from meshnet.model.printable import printable

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from meshnet.cli.lab.verbparser import Verbs
    from meshnet.lab.record import LabRecord

FOLLOW_EVERY_S = 0.2
_NAME = "a pod (NAME or NAMESPACE/NAME) or a node (NODE, or node/NODE where a pod has that name)"


def register(subparsers: Verbs) -> None:
    parser = subparsers.add_parser(
        "exec",
        description="Run a command in a pod, or a shell when none is given. Its exit code is this one's. On a node it "
        "runs where the node's daemon does.",
        example="meshnet lab exec r1 -- ping -c 1 10.0.0.2\nmeshnet lab exec n1 -- ip link",
    )
    parser.add_argument("name", metavar="POD|NODE", help=_NAME)
    parser.take_command()
    parser.set_defaults(run=execute)
    parser = subparsers.add_parser(
        "logs",
        description="Print what a pod's command, or a node's daemon, has written.",
        example="meshnet lab logs r1\nmeshnet lab logs -f n1",
    )
    parser.add_argument("name", metavar="POD|NODE", help=_NAME)
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing what comes")
    parser.set_defaults(run=logs)


def execute(args: argparse.Namespace) -> int:
    from meshnet.lab.control import ask_lab  # noqa: PLC0415 - `lab up` needs nothing of it
    from meshnet.lab.enter import enter_box, enter_namespaces, working_directory  # noqa: PLC0415
    from meshnet.lab.inside import PLACES  # noqa: PLC0415
    from meshnet.lab.record import find_lab  # noqa: PLC0415
    from meshnet.lab.terminal import run_at_terminal  # noqa: PLC0415

    command = args.after_dashes or [os.environ.get("SHELL") or "/bin/sh"]
    if not command[0]:
        raise UsageError("lab exec -- '': a command begins with the name of a program")
    directory = working_directory()
    chroot = enter_box(find_lab(args.lab))
    answer, descriptors = ask_lab("enter", name=args.name)
    places = dict(zip(PLACES, descriptors, strict=False))  # a lab that an earlier version started tells no root
    if not chroot:
        places.pop("root", None)  # that of the mounts is the pod's; its command may have another one
    enter_namespaces(places)
    for fd in descriptors:
        os.close(fd)
    for place in (answer["directory"] or directory, "/"):
        with contextlib.suppress(OSError):
            os.chdir(place)
            break
    environment = {**answer["environment"], **_terminal(os.environ)}
    own_sysfs = bool(answer.get("own_sysfs"))
    return run_at_terminal(lambda: _become(command, environment, own_sysfs=own_sysfs))


def _terminal(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: environ[name] for name in ("TERM", "COLORTERM", "LINES", "COLUMNS") if name in environ}


def _become(command: list[str], environment: Mapping[str, str], *, own_sysfs: bool) -> NoReturn:
    from meshnet.lab.enter import not_started_code  # noqa: PLC0415 - as above

    if own_sysfs:
        from meshnet.lab.box import own_sysfs_of_this_process  # noqa: PLC0415

        own_sysfs_of_this_process()
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - a list, never a shell
    except OSError as error:
        os.write(2, f"error: {printable(command[0])}: {error.strerror}\n".encode())
        os._exit(not_started_code(error))


def logs(args: argparse.Namespace) -> int:
    from meshnet.lab.control import ask_lab  # noqa: PLC0415
    from meshnet.lab.enter import enter_box  # noqa: PLC0415
    from meshnet.lab.logtrim import kept  # noqa: PLC0415
    from meshnet.lab.record import find_lab  # noqa: PLC0415

    record = find_lab(args.lab)
    with contextlib.ExitStack() as stack:
        lab = select.poll()
        pidfd = _first_process(record)
        stack.callback(os.close, pidfd)
        lab.register(pidfd, select.POLLIN)
        enter_box(record)
        answer, _ = ask_lab("logs", name=args.name)
        files: dict[str, int | None] = {}
        over = not args.follow
        while True:
            behind = False
            for path in answer["paths"]:
                fd = files.get(path)
                fd = files[path] = _opened(path, stack) if fd is None else fd
                for chunk in kept(fd) if fd is not None else ():
                    _write(chunk)
                    behind = True
            if over:
                return 0
            over = bool(lab.poll(0 if behind else FOLLOW_EVERY_S * 1000))  # what came until then is still to be read


def _first_process(record: LabRecord) -> int:
    """Return a descriptor of a lab's first process. Raises DaemonUnreachable when it has ended."""
    try:
        return os.pidfd_open(record.pid)
    except ProcessLookupError as error:
        raise DaemonUnreachable(f"lab {record.name}: it has ended") from error


def _write(chunk: bytes) -> None:
    """Write to stdout at once. Raises BrokenPipeError, and MeshnetError when it takes no more."""
    left = memoryview(chunk)
    try:
        while left:
            left = left[os.write(1, left) :]
    except BrokenPipeError:
        raise
    except OSError as error:
        raise MeshnetError(f"standard output: {error.strerror}") from error


def _opened(path: str, stack: contextlib.ExitStack) -> int | None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None  # a command that has not started yet has written nothing
    stack.callback(os.close, fd)
    return fd
