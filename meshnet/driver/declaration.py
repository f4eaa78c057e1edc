"""What is wrong with a driver's declaration, told in sentences its author can act on."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.driver import told
from meshnet.driver.api import API, Attachment, Carries, LinkDriver, Scope
from meshnet.driver.options import options_problem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ACCEPTED_API = range(max(1, API - 1), API + 1)
"""Versions of the contract that this core calls: its own and the one before."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")

_ASYNC = {
    "start": ("ctx",),
    "stop": (),
    "node_offer": (),
    "offer": ("local",),
    "patch": ("link", "peer"),
    "unpatch": ("link",),
    "inspect": (),
    "discard": ("owned",),
    "accept_stream": ("local", "peer", "stream"),
    "set_carrier": ("link", "up"),
    "counters": ("local",),
}
_PLAIN = {"mtu_limit": ("underlay",)}


@attrs.frozen
class _Rule:
    """An attribute, whether a value is right for it, and the sentence that says what would be."""

    attribute: str
    holds: Callable[[Any], bool]
    right: str


_RULES = (
    _Rule("name", lambda v: isinstance(v, str) and bool(_NAME.fullmatch(v)), "lower-case letters, digits, - and _"),
    _Rule(
        "aliases",
        lambda v: isinstance(v, tuple) and all(isinstance(a, str) and _ALIAS.fullmatch(a) for a in v),
        "a tuple of names, of letters, digits, - and _",
    ),
    _Rule("scopes", lambda v: isinstance(v, Scope) and bool(v), "one or more of Scope, joined by |"),
    _Rule("claims", lambda v: isinstance(v, Scope), "a Scope; Scope(0) claims nothing"),
    _Rule("rank", lambda v: isinstance(v, int) and not isinstance(v, bool), "an int; the highest wins"),
    _Rule("attachment", lambda v: isinstance(v, Attachment), "Attachment.PORT or Attachment.DIRECT"),
    _Rule("carries", lambda v: isinstance(v, Carries), "Carries.ANY_FRAME or Carries.OWN_MAC"),
    _Rule("honest", lambda v: isinstance(v, bool), "True or False"),
    _Rule("caution", lambda v: isinstance(v, str) and v.isprintable(), "a string of one line that can be printed"),
)


def declaration_problems(candidate: object) -> list[str]:
    """Return everything that keeps `candidate` from being a driver; nothing when it is one.

    What can only be judged after something else is right (the members of what is no class at all) is left out then.
    """
    if not isinstance(candidate, type):
        return [f"{told.shown(candidate)} is not a class; register the driver class itself, not an instance"]
    if not issubclass(candidate, LinkDriver):
        return [f"class {candidate.__qualname__} is not a subclass of meshnet.driver.LinkDriver"]
    if candidate is LinkDriver:
        return ["LinkDriver itself was registered; register a subclass of it"]
    version = _api_problem(candidate)
    if version is not None:
        # Another version's class may rightly look different in everything else.
        return [version]
    return [*_attribute_problems(candidate), *_method_problems(candidate)]


def _api_problem(driver: type[LinkDriver]) -> str | None:
    api = getattr(driver, "api", None)
    accepted = " or ".join(map(str, ACCEPTED_API))
    if not isinstance(api, int) or isinstance(api, bool):
        return f"api is {_shown(driver, 'api')}; right would be {accepted}, the version of the contract it is for"
    if api in ACCEPTED_API:
        return None
    cure = "upgrade meshnet-cni" if api > API else "upgrade the driver"
    return f"api is {api}, this meshnet speaks {accepted}: {cure}"


def _attribute_problems(driver: type[LinkDriver]) -> Iterator[str]:
    wrong = [rule for rule in _RULES if not hasattr(driver, rule.attribute) or not rule.holds(_value(driver, rule))]
    for rule in wrong:
        yield f"{rule.attribute} is {_shown(driver, rule.attribute)}; right would be {rule.right}"
    if not {"scopes", "claims"} & {rule.attribute for rule in wrong} and driver.claims & ~driver.scopes:
        yield f"claims is {driver.claims}, more than its scopes {driver.scopes}; right would be a part of them"
    problem = options_problem(driver)
    if problem is not None:
        yield problem


def _value(driver: type[LinkDriver], rule: _Rule) -> Any:
    return getattr(driver, rule.attribute)


def _shown(driver: type[LinkDriver], attribute: str) -> str:
    return told.shown(getattr(driver, attribute)) if hasattr(driver, attribute) else "missing"


def _method_problems(driver: type[LinkDriver]) -> Iterator[str]:
    if driver.patch is LinkDriver.patch:
        yield "patch is missing; right would be: async def patch(self, link, peer), returning a splice"
    for method, arguments in (_ASYNC | _PLAIN).items():
        if hasattr(driver, method):
            yield from _one_method(driver, method, arguments)


def _one_method(driver: type[LinkDriver], method: str, arguments: tuple[str, ...]) -> Iterator[str]:
    function = getattr(driver, method)
    call = f"{method}({', '.join(arguments)})"
    if not callable(function):
        yield f"{method} is {told.shown(function)}; right would be a method, called as {call}"
        return
    asynchronous = inspect.iscoroutinefunction(function)
    if method in _ASYNC and not asynchronous:
        yield f"{method} is not async; right would be: async def {method}"
    if method in _PLAIN and asynchronous:
        yield f"{method} is async; right would be a plain: def {method}"
    try:
        signature = inspect.signature(function)
        # A static or class method takes no self.
        static = isinstance(inspect.getattr_static(driver, method), staticmethod | classmethod)
        signature.bind(*arguments) if static else signature.bind(None, *arguments)
    except (TypeError, ValueError) as error:
        yield f"{method}{inspect.signature(function)} cannot be called as {call}: {error}"
