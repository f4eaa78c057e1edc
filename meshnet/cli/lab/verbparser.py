"""The parser of a verb that may end in ``-- CMD...``."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from meshnet.cli.parser import CommandParser

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    Verbs = argparse._SubParsersAction["VerbParser"]  # noqa: SLF001 - argparse gives it no other name


class VerbParser(CommandParser):
    """A `CommandParser` that takes what follows ``--`` for a command of the user, where `takes_command` is set.

    argparse alone would hand those words to the last argument that may repeat.
    """

    takes_command = False

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        words, command = list(args or ()), list[str]()
        if self.takes_command and "--" in words:
            place = words.index("--")
            words, command = words[:place], words[place + 1 :]
        parsed = super().parse_known_args(words, namespace)
        if self.takes_command:
            parsed[0].after_dashes = command
        return parsed

    def refuse(self, strangers: Sequence[str]) -> NoReturn:
        if self.takes_command and not strangers[0].startswith("-"):
            self.error(f"{strangers[0]!r} is one word too many: a command stands after --, as in -- {strangers[0]}")
        super().refuse(strangers)

    def take_command(self) -> None:
        """Take ``-- CMD...`` after the arguments that are there now, and tell so in the usage."""
        self.takes_command = True
        usage = self.format_usage().removeprefix("usage: ").rstrip()
        self.usage = usage.replace("%", "%%") + " [-- CMD...]"
