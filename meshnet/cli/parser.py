"""The argument parser of every command and sub-command: global options anywhere, errors as exceptions."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from meshnet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Subparsers = argparse._SubParsersAction["CommandParser"]  # noqa: SLF001 - argparse gives it no other name

OPTIONS_WITH_VALUE = ("--lab", "--context", "--kubeconfig")
"""The global options that take the next word."""

EXAMPLE_HEAD = "example:\n"


class CommandParser(argparse.ArgumentParser):
    """An `ArgumentParser` that takes the global options itself, so that they stand before or after a command.

    `add_subparsers()` makes more of these. Options and names stand in any order. A wrong command line raises
    `UsageError`; nothing exits.

    Args:
        example: a command line that works, shown at the end of ``--help``.
    """

    def __init__(self, *, example: str = "", **kwargs: Any) -> None:
        if example:
            kwargs.setdefault("epilog", EXAMPLE_HEAD + "\n".join("  " + line for line in example.splitlines()))
        kwargs.setdefault("formatter_class", _HelpFormatter)
        super().__init__(allow_abbrev=False, conflict_handler="resolve", **kwargs)
        self._every = self._actions  # also while some of them alone are looked for
        self.register("action", "parsers", _Commands)
        _add_global_options(self)

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")

    def format_help(self) -> str:
        with self._knowing(self._every):
            return super().format_help()

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Return the parsed words; nothing is left over, since each command says itself what it does not know."""
        words = list(sys.argv[1:] if args is None else args)
        parsed, strangers = self._parsed(words, namespace)
        if strangers:
            self.refuse(strangers)
        return parsed, []

    def refuse(self, strangers: Sequence[str]) -> NoReturn:
        """Raise UsageError for words that mean nothing here."""
        self.error(f"unrecognized arguments: {' '.join(strangers)}")

    def _parsed(self, words: list[str], namespace: argparse.Namespace | None) -> tuple[argparse.Namespace, list[str]]:
        """Return what the words mean, and those that mean nothing.

        argparse alone gives all names their values at the first of them, and knows no place for one after an option.
        """
        if self._subparsers is not None:
            return super().parse_known_args(words, namespace)
        end = words.index("--") if "--" in words else len(words)
        with self._knowing(self._get_optional_actions()):
            options, left = super().parse_known_args(words[:end], namespace)
        with self._knowing(self._get_positional_actions()):
            return super().parse_known_args([*left, *words[end:]], options)

    @contextlib.contextmanager
    def _knowing(self, actions: list[argparse.Action]) -> Iterator[None]:
        """Look for these arguments alone."""
        self._actions = actions
        try:
            yield
        finally:
            self._actions = self._every


class _HelpFormatter(argparse.HelpFormatter):
    """Wraps descriptions, leaves examples as written, and tells an option's value once, as Python 3.13 does."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(EXAMPLE_HEAD) else super()._fill_text(text, width, indent)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        value = self._format_args(action, self._get_default_metavar_for_optional(action))
        return f"{', '.join(action.option_strings)} {value}"


class _Commands(argparse._SubParsersAction):  # type: ignore[type-arg]  # noqa: SLF001 - argparse gives it no other name
    """Lists a command by the first sentence of its description where it has no shorter help."""

    def add_parser(self, name: str, **kwargs: Any) -> Any:
        first = kwargs.get("description", "").partition(". ")[0].rstrip(".")
        kwargs.setdefault("help", first.replace("%", "%%"))
        return super().add_parser(name, **kwargs)


def _add_global_options(parser: argparse.ArgumentParser) -> None:
    # SUPPRESS: a sub-parser must not overwrite with its default what stood before the command
    group = parser.add_argument_group("everywhere")
    add = group.add_argument
    absent = argparse.SUPPRESS
    lab = "act on this lab (MESHNET_LAB; default: the one running lab)"
    add("--lab", metavar="NAME", type=_lab_name, dest="typed_lab", default=absent, help=lab)
    current = "(default, where no lab runs: the current context)"
    add("--context", metavar="NAME", default=absent, help=f"act on the cluster of this kubeconfig context {current}")
    files = "(default: KUBECONFIG, else ~/.kube/config)"
    add("--kubeconfig", metavar="FILE", default=absent, help=f"act on the cluster of this kubeconfig {files}")
    add("-v", "--verbose", action="store_true", default=absent, help="show what is done, and where an error came from")
    add("-q", "--quiet", action="store_true", default=absent, help="no progress, no remarks")


def global_defaults(environ: Mapping[str, str] = os.environ) -> argparse.Namespace:
    """Return what the global options are when they are not given.

    `lab` is that of the environment, `typed_lab` the option's; `kubectl`: it was called as kubectl's plugin.
    """
    return argparse.Namespace(
        typed_lab=None,
        lab=environ.get("MESHNET_LAB") or None,
        context=None,
        kubeconfig=None,
        kubectl=False,
        verbose=False,
        quiet=False,
    )


def add_namespace_option(parser: argparse.ArgumentParser, *, every: bool = False, default: str = "") -> None:
    """Add ``-n``, and ``-A`` with `every`.

    Without ``-n`` and a `default` it is None: where the command acts says which namespace is meant.
    """
    told = default or "that of the kubeconfig's context, else default"
    text = f"namespace (default: {told})"
    parser.add_argument("-n", "--namespace", metavar="NAME", type=_namespace, default=default or None, help=text)
    if every:
        parser.add_argument("-A", "--all-namespaces", action="store_true", help="every namespace")


def _lab_name(text: str) -> str:
    """The type of ``--lab``. Raises UsageError: an empty one is no lab rather than any."""
    from meshnet.lab.record import check_name  # noqa: PLC0415 - help needs none

    return check_name(text)


def _namespace(text: str) -> str:
    """The type of ``-n``; ``""`` is none, as kubectl has it."""
    from meshnet.model import rules  # noqa: PLC0415 - help needs none

    try:
        return rules.namespace_name(text) if text else ""
    except rules.RuleError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error


def add_output_option(parser: argparse.ArgumentParser) -> None:
    """Add ``-o``: how what was read is printed."""
    parser.add_argument(
        "-o",
        "--output",
        choices=("table", "wide", "json", "yaml"),
        default="table",
        help="tables for people, JSON and YAML for programs (default: table)",
    )


def seconds(text: str) -> float:
    """The type of an argument that is a time: a number above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r}: a number of seconds above zero, as in 2.5")
    return value


def whole_number(text: str) -> int:
    """The type of an argument that counts: its bounds are the command's."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a whole number, as in 2") from None


def milliseconds(text: str) -> float:
    """The type of an argument that is a short time, without a unit: its bounds are the command's."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: must be a number of milliseconds, as in 2.5") from None
