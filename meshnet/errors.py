"""Every error meshnet raises on purpose.

::

    MeshnetError
    ├── InvalidObject        a Topology, a file or a setting is wrong: which field, which value, what would be right
    ├── StoreError
    │   ├── NotFound         the object is not there (an answer, not a failure)
    │   ├── Conflict         the precondition did not hold: read again
    │   ├── WatchExpired     the watch lost its place: list again
    │   └── StoreUnavailable the store could not be asked; nothing is known
    ├── KernelError          the kernel refused a request: which request, which errno
    ├── LinkError            a link cannot be made as asked; `reason` goes into its status
    │   └── RestartPod       true only after the pod has been restarted
    ├── StreamEnded          a stream between two nodes is over
    ├── DaemonUnreachable    the node's daemon did not answer
    └── UsageError           the command was called wrongly

Anything else is a bug and shows its traceback.
"""

from __future__ import annotations

import errno as _errno
import os
import reprlib
import sys
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class MeshnetError(Exception):
    """Base of the errors that a user may see; `str()` of it is one line."""


class Spelling(reprlib.Repr):
    """Shows values as YAML has them: texts in quotes, `true`, `false`, `null`.

    `most`: of anything that is shown; without it the bounds of `reprlib.Repr`.
    """

    def __init__(self, most: int | None = None) -> None:
        super().__init__()
        if most is not None:
            self.maxlevel = self.maxdict = self.maxlist = self.maxtuple = most
            self.maxstring = self.maxlong = self.maxother = most

    def repr_bool(self, value: bool, _level: int) -> str:
        return "true" if value else "false"

    def repr_NoneType(self, _value: None, _level: int) -> str:  # noqa: N802 - by the type's name
        return "null"


_WHOLE = Spelling(sys.maxsize)


def spelt(value: object) -> str:
    """Return a whole value as whoever wrote it knows it from a file."""
    return _WHOLE.repr(value)


class Problem(NamedTuple):
    """One thing that is wrong in an object.

    Attributes:
        path: where, as a user would write it: ``spec.links[2].local_intf``.
        value: what stands there.
        right: what would be right.
    """

    path: str
    value: object
    right: str

    def __str__(self) -> str:
        return f"{self.path}: {self.told}"

    @property
    def told(self) -> str:
        """What is wrong there, without the path; where nothing stands, no value."""
        return self.right if self.value is None else f"{spelt(self.value)}: {self.right}"


MOST_TOLD = 20
"""Problems in the text of an error, which may become part of a status: a Topology may have thousands of links."""


class InvalidObject(MeshnetError):
    """An object from outside is wrong; nothing of it was applied. Its text tells of the first `MOST_TOLD` problems.

    Attributes:
        object: its name as a user knows it: ``Topology default/r1``, ``CNI configuration``.
        problems: everything that is wrong with it, not only the first.
    """

    def __init__(self, object: str, problems: Sequence[Problem]) -> None:
        self.object = object
        self.problems = tuple(problems)
        more = len(self.problems) - MOST_TOLD
        told = [*map(str, self.problems[:MOST_TOLD]), *([f"and {more} more"] if more > 0 else [])]
        super().__init__(f"{object}: " + "; ".join(told))


class StoreError(MeshnetError):
    """Base of what a store can answer instead of an object."""


class NotFound(StoreError):
    """The object does not exist. Never raised because asking failed."""


class Conflict(StoreError):
    """The object changed since it was read, or exists already."""


class WatchExpired(StoreError):
    """A watch cannot go on from where it was: list again, then watch from there."""


class StoreUnavailable(StoreError):
    """The store could not be asked; whether the object exists is unknown."""


class KernelError(MeshnetError):
    """The kernel refused a netlink request or a system call.

    Attributes:
        errno: the error number to switch on, never the text.
        what: the request, in words.
        detail: the kernel's own explanation (extended ack), or ``""``.
    """

    def __init__(self, errno: int, what: str, detail: str = "") -> None:
        self.errno = errno
        self.what = what
        self.detail = detail
        name = _errno.errorcode.get(errno, str(errno))
        super().__init__(f"{what}: {os.strerror(errno)} ({name})" + (f": {detail}" if detail else ""))


class LinkError(MeshnetError):
    """A link cannot be as its Topology asks.

    Attributes:
        reason: one CamelCase word for the status: ``ParentMissing``.
        retry: whether trying again without any change may help.
    """

    def __init__(self, reason: str, message: str, *, retry: bool = True) -> None:
        self.reason = reason
        self.retry = retry
        super().__init__(message)


class RestartPod(LinkError):
    """What is asked needs the inside of a pod that cannot be entered any more."""

    def __init__(self, message: str) -> None:
        super().__init__("RestartPod", message, retry=False)


class StreamEnded(MeshnetError):
    """A stream to a driver on another node is over: nothing more can be read or written."""


class DaemonUnreachable(MeshnetError):
    """The daemon's socket is not there, refused, or did not answer in time."""


class UsageError(MeshnetError):
    """A command line that cannot be understood or does not fit where it acts."""
