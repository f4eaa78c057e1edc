"""Who this node is: a key and a certificate that it signs itself, made at first start and renewed in time.

A renewal has three steps, a delay apart, so that every peer has seen a certificate before it is used and none that is
in use goes: the next one is made, and the delay begins when the node record is seen to hold it; it is used, and the old
one stays published; the old one goes.

The pair in use is never replaced unasked, since peers would refuse the new one: broken, it was not broken by a crash. A
renewal's other pair is not used yet, or not any more: broken, it counts as absent.
"""

from __future__ import annotations

import datetime
import logging
import random
import time
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import MeshnetError
from meshnet.peers.certificate import SKEW, VALID, make_certificate
from meshnet.peers.keyfile import KeyPair, load, save

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

log = logging.getLogger(__name__)

ROTATE_DAYS = 90.0
PUBLISHED_S = 600.0
"""How long a certificate is published before it is used, and after."""

_SPREAD = 0.1
"""Up to this part of its age a certificate is renewed sooner: nodes that came up together do not renew together."""


class Identity:
    """The key and the certificates of this node, kept in `directory` (``current.pem``, ``next.pem``, ``previous.pem``).

    Args:
        directory: made if it is missing; only its owner may look into it.
        node: this node's name, which the certificate carries.
        rotate_days: age by which a new one is made, days; 0: never.
        published_s: between the steps of a renewal, seconds.
        now: seconds since 1970.

    Raises MeshnetError when the one in use is broken or belongs to another node, OSError.
    """

    def __init__(
        self,
        directory: Path,
        node: str,
        *,
        rotate_days: float = ROTATE_DAYS,
        published_s: float = PUBLISHED_S,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.node = node
        self._directory = directory
        self._rotate_s = rotate_days * 86400
        self._published_s = published_s
        self._now = now
        self._listeners: list[Callable[[], None]] = []
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._current = self._load_current() or self._make("current")
        self._next = self._load_spare("next")
        self._previous = self._load_spare("previous")
        self._published_since: float | None = None
        self._invalid_since: float | None = None
        if self._next == self._current:  # a crash came between the steps of taking it into use
            self._drop_next()

    @property
    def current(self) -> KeyPair:
        """What this node shows its peers."""
        return self._current

    def certificates(self) -> tuple[str, ...]:
        """Return what the node record shall say, PEM: the one in use, then the one that comes next or was before."""
        pairs = (self._current, self._next, self._previous)
        return tuple(dict.fromkeys(pair.certificate for pair in pairs if pair is not None))

    def listen(self, changed: Callable[[], None]) -> None:
        """Have `changed` called whenever `certificates` or `current` has changed."""
        self._listeners.append(changed)

    def published(self, certificates: Collection[str]) -> None:
        """Take note of the certificates that the node record holds, as its peers read it: the next one may be in it."""
        if self._next is None or self._next.certificate not in certificates:
            self._published_since = None
        elif self._published_since is None:
            self._published_since = self._now()

    def rotate(self) -> None:
        """Begin a renewal now, unless one is under way. Raises OSError."""
        if self._next is None:
            self._next = self._make("next")
            self._tell()

    def advance(self) -> None:
        """Take the step of a renewal that is due, if one is; to be called now and then. Raises OSError."""
        now = self._now()
        if not _is_valid(self._current, now):
            self._replace_invalid(now)
            return
        self._invalid_since = None
        if self._next is not None and not _is_valid(self._next, now):  # the clock was ahead when it was made
            self._drop_next()
            self._tell()
        if self._previous is not None and abs(now - self._previous.made) >= self._published_s:  # or the clock was set
            self._path("previous").unlink(missing_ok=True)
            self._previous = None
            self._tell()
        elif self._next is not None and self._previous is None and self._is_known(now):
            self._use(self._next)
            self._tell()
        elif self._rotate_s and now - self._current.made >= self._rotate_s * (1 - _SPREAD * _lot(self._current)):
            self.rotate()

    def _replace_invalid(self, now: float) -> None:
        """Renew a certificate that its peers refuse as this node's clock is now, and use the new one once it is known.

        It was made when the clock was wrong, or nobody renewed it in time. But a clock that is wrong just now, as one
        that was not set yet since the boot is, must not cost a good certificate.
        """
        if self._invalid_since is None or self._invalid_since > now:
            self._invalid_since = now
            log.error(
                "this node's certificate is of %s, and by this node's clock it is not valid: peers refuse it; "
                "it is replaced in %g s, unless the clock is set right until then",
                datetime.datetime.fromtimestamp(self._current.made, datetime.UTC).isoformat(),
                self._published_s,
            )
        elif now - self._invalid_since < self._published_s:
            return
        elif self._next is None or not _is_valid(self._next, now):
            self._next, self._published_since = self._make("next"), None
            self._tell()
        elif self._published_since is not None:
            self._use(self._next)
            self._tell()

    def _is_known(self, now: float) -> bool:
        """Tell whether the next certificate is published for long enough."""
        if self._published_since is not None and self._published_since > now:
            self._published_since = now  # the clock was set back
        return self._published_since is not None and now - self._published_since >= self._published_s

    def _use(self, pair: KeyPair) -> None:
        put_down = attrs.evolve(self._current, made=self._now())
        save(self._path("previous"), self.node, put_down)
        save(self._path("current"), self.node, pair)
        self._previous, self._current = put_down, pair
        self._drop_next()

    def _drop_next(self) -> None:
        self._path("next").unlink(missing_ok=True)
        self._next = self._published_since = None

    def _tell(self) -> None:
        for changed in self._listeners:
            changed()

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.pem"

    def _load_current(self) -> KeyPair | None:
        try:
            return load(self._path("current"), self.node)
        except MeshnetError as error:
            raise MeshnetError(
                f"{error}; put the right file back, or remove it: then this node gets a new identity,"
                " which its peers accept once its record tells them"
            ) from None

    def _load_spare(self, name: str) -> KeyPair | None:
        try:
            return load(self._path(name), self.node)
        except MeshnetError as error:
            log.error("%s; it is not in use, and counts as absent", error)
            return None

    def _make(self, name: str) -> KeyPair:
        made = int(self._now())
        pair = KeyPair(*make_certificate(self.node, made), made)
        save(self._path(name), self.node, pair)
        return pair


def _lot(pair: KeyPair) -> float:
    """Return a number from 0 to 1 that is a certificate's own, also after a restart."""
    return random.Random(pair.certificate).random()  # noqa: S311 - no secret


def _is_valid(pair: KeyPair, now: float) -> bool:
    """Tell whether peers whose clocks are as this node's take a certificate."""
    begin = pair.made - SKEW.total_seconds()
    return begin <= now < begin + VALID.total_seconds()
