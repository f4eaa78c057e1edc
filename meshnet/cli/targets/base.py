"""The face of every place that a command can act on."""

from __future__ import annotations

import abc
import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from meshnet.errors import UsageError
from meshnet.model.resource import DEFAULT_NAMESPACE
from meshnet.stores.open import open_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from meshnet.cli.ask import Answers
    from meshnet.cli.checks.finding import Finding
    from meshnet.model.resource import Kind, Resource
    from meshnet.stores.base import Store

T = TypeVar("T")


class Target(abc.ABC):
    """A place to act on. Making one touches nothing: a lab's box is entered when something is asked of it.

    Attributes:
        name: as a user knows it: ``lab demo``, ``node``, ``cluster prod``.
        store_url: where the Topologies are; ``""`` when only a daemon is known.
        namespace: that is meant where none is given.
        no_store, no_daemon: what to say where there is none.
    """

    name: str
    store_url: str
    namespace: str = DEFAULT_NAMESPACE
    no_store: ClassVar[str] = "no store to ask"
    no_daemon: ClassVar[str] = "there is none to ask"

    def with_store(self, function: Callable[[Store], Awaitable[T]]) -> T:
        """Open the store, run `function` on it in an event loop, and close the store.

        Raises UsageError when no store is known, StoreUnavailable, and what `function` raises.
        """
        if not self.store_url:
            raise UsageError(self.no_store)
        self.enter()

        async def run() -> T:
            store = self.open_store()
            try:
                return await function(store)
            finally:
                await store.close()

        return asyncio.run(run())

    def objects(self, kind: Kind, namespace: str | None = None) -> Sequence[Resource]:
        """Return the store's objects of a kind, of one namespace or of all. Raises as `with_store` does."""

        async def read(store: Store) -> Sequence[Resource]:
            return (await store.list(kind, namespace)).items

        return self.with_store(read)

    def open_store(self) -> Store:
        """Return its store, which is opened at the first call of a method. Raises UsageError."""
        return open_store(self.store_url)

    def enter(self) -> None:  # noqa: B027  (most places are where the command is)
        """Be where it is, once; files of the user must have been read before."""

    @abc.abstractmethod
    def ask(self, query: str) -> Answers:
        """Ask all daemons at once, 3 s at most. Raises QueryError when one answers that it will not."""

    def look(self) -> None:  # noqa: B027  (what does not end is always there)
        """Look whether the place is still there, once it was entered. Raises DaemonUnreachable."""

    def about_nodes(self) -> Mapping[str, Mapping[str, Any]]:
        """Return by node what is known of it apart from its record and its daemon's answers. Raises MeshnetError."""
        return {}

    @abc.abstractmethod
    def findings(self) -> Sequence[Finding]:
        """Return what `meshnet doctor` finds there, good and bad."""
