"""What gRPC reads from the environment when it is loaded; what a user has set there stays.

It uses the one of its two ways to wait for connections that has fewer threads on a message's way. Its event engine
hands what arrives from one thread to a second and from that to Python's; the older way has Python's thread read the
connection itself. On an idle machine each hand-over costs a frame that crosses a wire some 50 us, a quarter of its
round trip in all. A gRPC that has no older way any more ignores the wish.

What its core would say to stderr is said in the daemon's log, in context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_WISHES = {"GRPC_EXPERIMENTS": "-event_engine_client,-event_engine_listener", "GRPC_VERBOSITY": "NONE"}


def prepare_grpc(environ: MutableMapping[str, str]) -> None:
    """Say in the environment of this process, before gRPC is loaded, how it shall be."""
    for name, wish in _WISHES.items():
        environ.setdefault(name, wish)
