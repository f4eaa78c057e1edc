"""Which of gRPC's two ways to wait for its connections a daemon uses: the one with fewer threads on a message's way.

gRPC's event engine hands what arrives from one thread to a second and from that to Python's; the older way has Python's
thread read the connection itself. On an idle machine each hand-over costs a frame that crosses a wire some 50 us, a
quarter of its round trip in all. A gRPC that has no older way any more ignores the wish.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_VARIABLE = "GRPC_EXPERIMENTS"
_WISH = "-event_engine_client,-event_engine_listener"


def prefer_few_threads(environ: MutableMapping[str, str]) -> None:
    """Tell gRPC, which reads the environment when it is first used; what a user has set there stays."""
    environ.setdefault(_VARIABLE, _WISH)
