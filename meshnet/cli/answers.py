"""What commands take from answers of daemons, whose version may be another: it is looked at before it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from meshnet.cni import client
from meshnet.errors import DaemonUnreachable
from meshnet.model.fields import Fields, first_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

LARGEST_NUMBER = (1 << 63) - 1


def ask(socket: str | Path, query: str, *, timeout_s: float = 5.0) -> dict[str, Any]:
    """Return what the daemon at a socket answers.

    Raises DaemonUnreachable, also when no command could use the answer, and QueryError.
    """
    answer = client.ask(socket, query, timeout_s=timeout_s)
    wrong = misshapen(query, answer)
    if wrong:
        raise DaemonUnreachable(f"daemon at {socket}: {wrong}")
    found: dict[str, Any] = answer
    return found


def misshapen(query: str, answer: object) -> str:
    """Say what keeps an answer from being used: where, what stands there, what would be right; ``""`` for a good one.

    What no command uses may be anything, as what a later version adds.
    """
    fields = Fields({} if answer is None else answer, "", [])
    fields.text("node")
    if query in ROWS:
        _has_list(fields, query)
        for row in fields.each(query):
            ROWS[query](row)
    if query == "health":
        _health(fields)
    wrong = first_of(fields.problems)
    return wrong and f"its answer to {query!r} is another version's, or damaged: {wrong}"


def _end(row: Fields) -> None:
    _needs(row, "namespace", "pod", "interface")
    for name in ("state", "reason", "message", "driver", "why"):
        row.text(name, "")
    row.number("generation", 0, high=LARGEST_NUMBER)
    row.flag("carrier")
    row.flag("up")
    row.texts("addresses")
    counters = row.inner("counters")
    for name in ("rx_packets", "tx_packets"):
        counters.number(name, 0, high=LARGEST_NUMBER)


def _sandbox(row: Fields) -> None:
    _needs(row, "namespace", "pod", "container_id")
    for name in ("network", "netns"):
        row.text(name, "")
    row.items("ports")


def _driver(row: Fields) -> None:
    _needs(row, "name", "version", "distribution", "state")
    for name in ("carries", "attachment", "reason"):
        row.text(name, "")
    for name in ("scopes", "claims"):
        row.texts(name)
    row.flag("honest")


def _health(answer: Fields) -> None:
    """The daemon that answers, and, where it installs the CNI plugin, what it says of that."""
    answer.flag("synced")
    if answer.has("cni"):
        installed = answer.inner("cni")
        _needs(installed, "bin_dir", "conf_dir", "source", "problem")
        _has_list(installed, "remarks")
        installed.texts("remarks")


def _has_list(fields: Fields, name: str) -> None:
    if not fields.has(name):
        fields.wrong(name, "must be given: a list")


def _needs(fields: Fields, *names: str) -> None:
    for name in names:
        fields.text(name)


ROWS: Mapping[str, Callable[[Fields], None]] = {
    "links": _end,
    "states": _end,
    "sandboxes": _sandbox,
    "drivers": _driver,
}
"""Queries whose answer is a list of that name, and what reads a row of it."""
