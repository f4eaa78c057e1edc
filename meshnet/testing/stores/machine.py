"""A Hypothesis state machine that uses a store and the model side by side and compares every answer.

::

    class SqliteMachine(StoreMachine):
        def open_handles(self):
            path = new_directory() / "store.db"
            return SqliteStore(path), SqliteStore(path)

    class TestSqliteAgainstTheModel(SqliteMachine.TestCase):
        settings = settings(stateful_step_count=40)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

import attrs
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from meshnet.errors import MeshnetError
from meshnet.model.resource import API_VERSION, Kind, Resource
from meshnet.stores.base import Event, Store
from meshnet.stores.memory import MemoryStore
from meshnet.testing.stores.handles import next_change
from meshnet.testing.stores.strategies import ALL_KEYS, EXPECTED, HANDLES, KEYS, LABELS, OBJECTS, PATCHES, PICKS, SPECS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine, Mapping

    from meshnet.stores.base import WatchEvent

    Call = Callable[[Store], Coroutine[Any, Any, Any]]

FILLED = ("uid", "resourceVersion", "creationTimestamp")
"""Fields of metadata that two stores fill differently."""


class StoreMachine(RuleBasedStateMachine):
    """Two handles on one store against `MemoryStore`; subclass it and write `open_handles`."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.model: Store = MemoryStore()
        self.handles = self.open_handles()
        self.versions: dict[str, str] = {"": ""}  # the model's resourceVersion -> the store's, of all that was seen
        self.seen: dict[tuple[Kind, str, str], list[str]] = {}  # the model's resourceVersions of an object, in order
        self.watches: list[tuple[Kind, AsyncGenerator[WatchEvent, None], AsyncGenerator[WatchEvent, None]]] = []

    def open_handles(self) -> tuple[Store, Store]:
        """Two handles on the same new, empty data."""
        raise NotImplementedError

    def fit(self, document: dict[str, Any]) -> dict[str, Any]:
        """A drawn document, or patch, without what the store cannot keep; each such thing is in its documentation."""
        return document

    @rule(key=KEYS, parts=st.tuples(SPECS, LABELS, OBJECTS), handle=HANDLES, expected=EXPECTED)
    def apply(self, key: tuple[Kind, str, str], parts: tuple[Any, Any, Any], handle: int, expected: str) -> None:
        spec, labels, odd = parts
        metadata = {"name": key[2], "labels": labels, "annotations": {"odd": "1"}, "odd": odd}
        metadata |= {"namespace": key[1]} if key[1] else {}
        document = {"apiVersion": API_VERSION, "kind": key[0].value, "metadata": metadata, "spec": spec, "odd": odd}
        fitting = self.fit(document)
        self.write(key, handle, expected, lambda store, at: store.apply(fitting, resource_version=at))

    @rule(pick=PICKS, handle=HANDLES)
    def apply_again(self, pick: int, handle: int) -> None:
        """Apply what stands there, as someone does who exported it."""
        key = self.pick(pick)
        self.compare(handle, lambda store: self.apply_own(store, key))

    @rule(pick=PICKS, patch=PATCHES, handle=HANDLES, expected=EXPECTED)
    def patch(self, pick: int, patch: dict[str, Any], handle: int, expected: str) -> None:
        key = self.pick(pick)
        fitting = self.fit(patch)
        self.write(key, handle, expected, lambda store, at: store.patch(*key, fitting, resource_version=at))

    @rule(pick=PICKS, status=OBJECTS, handle=HANDLES, expected=EXPECTED)
    def patch_status(self, pick: int, status: dict[str, Any], handle: int, expected: str) -> None:
        key = self.pick(pick)
        fitting = self.fit({"status": status})["status"]
        self.write(key, handle, expected, lambda store, at: store.patch_status(*key, fitting, resource_version=at))

    @rule(pick=PICKS, handle=HANDLES)
    def delete(self, pick: int, handle: int) -> None:
        key = self.pick(pick)
        self.compare(handle, lambda store: store.delete(*key))

    @rule(key=KEYS, handle=HANDLES)
    def get(self, key: tuple[Kind, str, str], handle: int) -> None:
        self.compare(handle, lambda store: store.get(*key))

    @rule(about=st.sampled_from("ab"), reason=st.sampled_from("xy"), handle=HANDLES)
    def record(self, about: str, reason: str, handle: int) -> None:
        event = Event(about, "Normal", reason, "message", "source", time=1.0)
        self.compare(handle, lambda store: store.record(event))

    @rule(kind=st.sampled_from(Kind), handle=HANDLES)
    @precondition(lambda self: len(self.watches) < 3)
    def watch(self, kind: Kind, handle: int) -> None:
        real, model = (self.run(store.list(kind)).revision for store in (self.handles[handle], self.model))
        self.watches.append((kind, self.handles[handle].watch(kind, real), self.model.watch(kind, model)))

    @rule(handle=HANDLES, resume=st.booleans())
    @precondition(lambda self: self.watches)
    def catch_up(self, handle: int, resume: bool) -> None:
        """See everything that the model has seen, then go on with the same watch, or a new one from there."""
        kind, real, model = self.watches.pop(0)
        sentinel = self.sentinel(kind)
        while True:
            expected, actual = self.run(next_change(model)), self.run(next_change(real))
            assert (actual.change, self.known(actual.resource)) == (expected.change, self.known(expected.resource))
            places = [actual.revision, expected.revision]
            if expected.resource is not None and expected.resource.name == sentinel:
                break
        if resume:
            self.run(real.aclose())
            self.run(model.aclose())
            real, model = self.handles[handle].watch(kind, places[0]), self.model.watch(kind, places[1])
        self.watches.append((kind, real, model))

    @invariant()
    def lists_are_equal(self) -> None:
        for kind in Kind:
            model = [self.known(item) for item in self.run(self.model.list(kind)).items]
            for handle in self.handles:
                assert [self.known(item) for item in self.run(handle.list(kind)).items] == model

    @invariant()
    def events_are_equal(self) -> None:
        model = self.run(self.model.events())
        assert [self.run(handle.events()) for handle in self.handles] == [model, model]

    def write(
        self,
        key: tuple[Kind, str, str],
        handle: int,
        expected: str,
        call: Callable[[Store, str | None], Coroutine[Any, Any, Resource]],
    ) -> None:
        """Make the same write in both, under a precondition of the kind that `expected` says."""
        seen = self.seen.get(key, [""])
        at = {"any": None, "current": seen[-1], "stale": seen[0], "absent": ""}[expected]
        real = None if at is None else self.versions[at]
        resource = self.compare(handle, lambda store: call(store, at if store is self.model else real))
        if isinstance(resource, Resource) and resource.resource_version not in seen:
            self.seen.setdefault(key, []).append(resource.resource_version)

    def compare(self, handle: int, call: Call) -> object:
        """The model's answer, when the store gave the same one."""
        model, real = self.answer(self.model, call), self.answer(self.handles[handle], call)
        if isinstance(model, Resource) and isinstance(real, Resource):
            # Versions must correspond one to one: a write that changed nothing in one changed nothing in the other.
            assert self.versions.setdefault(model.resource_version, real.resource_version) == real.resource_version
            assert len(set(self.versions.values())) == len(self.versions)
        assert self.known(real) == self.known(model)
        return model

    def pick(self, number: int) -> tuple[Kind, str, str]:
        """An object that is there; for a negative number any, which may be missing."""
        live = [(kind, *item.key) for kind in Kind for item in self.run(self.model.list(kind)).items]
        return live[number % len(live)] if live and number >= 0 else ALL_KEYS[number]

    @staticmethod
    async def apply_own(store: Store, key: tuple[Kind, str, str]) -> Resource:
        return await store.apply((await store.get(*key)).document)

    def answer(self, store: Store, call: Call) -> object:
        try:
            return self.run(call(store))
        except MeshnetError as error:
            return type(error)

    def sentinel(self, kind: Kind) -> str:
        """Write something that a watch of `kind` must see last."""
        name = f"sentinel-{len(self.versions)}"
        document = {"apiVersion": API_VERSION, "kind": kind.value, "metadata": {"name": name}}
        self.compare(0, lambda store: store.apply(document))
        return name

    @staticmethod
    def known(answer: object) -> object:
        """An answer without what differs from store to store."""
        if not isinstance(answer, Resource):
            return answer
        document: Mapping[str, Any] = attrs.asdict(answer)["document"]
        metadata = {name: value for name, value in document["metadata"].items() if name not in FILLED}
        # As text, for Python holds True and 1 for equal.
        return json.dumps({**document, "metadata": metadata}, sort_keys=True)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(coroutine)

    def teardown(self) -> None:
        with contextlib.closing(self.runner):
            for _, real, model in self.watches:
                self.run(real.aclose())
                self.run(model.aclose())
            for store in (*self.handles, self.model):
                self.run(store.close())
