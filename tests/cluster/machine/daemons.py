"""What a machine's first process keeps running: programs, each with what it waits for before it starts."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Daemon:
    """A program that is restarted when it ends.

    Attributes:
        name: of its log, and in every request about it.
        argv: its program and arguments.
        needs: what must be there first: a path, or a URL that answers 200; it saves a crash and a restart.
        authority: of the certificate at an https URL of `needs`.
    """

    name: str
    argv: tuple[str, ...]
    needs: str = ""
    authority: str = ""


@dataclass(frozen=True)
class Machine:
    """What a machine is to do when it boots.

    Attributes:
        name: its host name.
        directory: holds its sockets and logs, outside and inside.
        daemons: what it keeps running.
        listener: descriptor of a listening socket whose connections are carried to `forward_to`, or -1.
        forward_to: a TCP port on the machine's own loopback.
        lifeline: it ends when its standard input does, so it never outlives who started it.
        temporary: when it ends so, its directory goes, too: nobody else will take that away.
        network: what `network.set_up` makes of its network namespace.
        node: of a machine with a file system of its own, what `filesystem.set_up` needs: ``cgroups``, ``programs``.
    """

    name: str
    directory: str
    daemons: tuple[Daemon, ...]
    listener: int = -1
    forward_to: int = 0
    lifeline: bool = False
    temporary: bool = False
    network: dict[str, Any] = field(default_factory=dict)
    node: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_json(cls, document: dict[str, Any]) -> Machine:
        daemons = tuple(Daemon(**{**one, "argv": tuple(one["argv"])}) for one in document["daemons"])
        return cls(**{**document, "daemons": daemons})
