"""Which store a setting names."""

from __future__ import annotations

import urllib.parse
from typing import TYPE_CHECKING

from meshnet.errors import UsageError
from meshnet.stores.kubernetes.access import Access
from meshnet.stores.memory import MemoryStore
from meshnet.stores.sqlite import SYNCHRONOUS, SqliteStore

if TYPE_CHECKING:
    from meshnet.stores.base import Store

_KNOWN = (
    "memory:, sqlite:PATH[?synchronous=off|normal|full&create=yes|no] or kubernetes:[?context=NAME&kubeconfig=PATH]"
)


def open_store(spec: str) -> Store:
    """Return the store that `spec` names: ``memory:``, ``sqlite:PATH``, ``kubernetes:``, with options after a ``?``.

    Nothing is opened yet: that happens at the first call of a method. Raises UsageError.
    """
    scheme, colon, rest = spec.partition(":")
    match scheme if colon else "":
        case "memory" if not rest:
            return MemoryStore()
        case "sqlite":
            return _open_sqlite(spec, rest)
        case "kubernetes" if not rest.partition("?")[0]:
            return _open_kubernetes(Access.read(spec, rest.partition("?")[2]))
    raise UsageError(f"store {spec!r}: must be {_KNOWN}")


def _open_sqlite(spec: str, rest: str) -> SqliteStore:
    path, _, query = rest.partition("?")
    if not path:
        raise UsageError(f"store {spec!r}: sqlite: needs the path of a file")
    options = {"synchronous": "normal", "create": "yes"}
    allowed = {"synchronous": SYNCHRONOUS, "create": ("yes", "no")}
    for name, value in urllib.parse.parse_qsl(query, keep_blank_values=True):
        if value not in allowed.get(name, ()):
            right = "; ".join(f"{option}={'|'.join(values)}" for option, values in allowed.items())
            raise UsageError(f"store {spec!r}: {name}={value}: the options are {right}")
        options[name] = value
    return SqliteStore(path, create=options["create"] == "yes", synchronous=options["synchronous"])


def _open_kubernetes(access: Access) -> Store:
    # HTTP and TLS: whoever has another store does not pay for them.
    from meshnet.stores.kubernetes.store import KubernetesStore  # noqa: PLC0415

    return KubernetesStore(access)
