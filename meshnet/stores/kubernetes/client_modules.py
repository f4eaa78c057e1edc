"""The few modules of the package `kubernetes` that are needed, without what its packages import besides.

Measured in a daemon with kubernetes 35: ``import kubernetes`` takes 280 ms and 54 MB, most of it a class for each type
of the API, and comes with every import of any of its modules; what is needed here takes 40 ms and 7 MB.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import ModuleType

ROOT = "kubernetes"
_PACKAGES = (ROOT, f"{ROOT}.client", f"{ROOT}.config", f"{ROOT}.utils")


def client_modules(*names: str) -> Sequence[Any]:
    """Import modules of the package `kubernetes`: ``client.rest``.

    A release in which they need more of their packages than we know is imported as a whole. Raises ImportError.
    """
    paths = [f"{ROOT}.{name}" for name in names]
    if ROOT in sys.modules:  # somebody has paid already
        return [importlib.import_module(path) for path in paths]
    try:
        with _bare_packages():
            return [importlib.import_module(path) for path in paths]
    except (ImportError, AttributeError):
        return [importlib.import_module(path) for path in paths]


@contextlib.contextmanager
def _bare_packages() -> Iterator[None]:
    """Put empty packages in the place of the real ones for a while; whoever imports those later gets them whole."""
    try:
        for name in _PACKAGES:
            _enter(name)
        client = sys.modules[f"{ROOT}.client"]
        vars(client)["ApiClient"] = None  # only for signing in by way of providers that are no more
        vars(client)["Configuration"] = importlib.import_module(f"{client.__name__}.configuration").Configuration
        yield
    finally:
        for name in [name for name in sys.modules if name == ROOT or name.startswith(f"{ROOT}.")]:
            del sys.modules[name]


def _enter(name: str) -> ModuleType:
    """Have a package found without running it."""
    spec = importlib.util.find_spec(name)
    if spec is None:
        raise ImportError(f"no module {name}", name=name)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    parent, _, own = name.rpartition(".")
    if parent:
        vars(sys.modules[parent])[own] = module
    return module
