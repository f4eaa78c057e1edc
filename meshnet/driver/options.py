"""Options of a link: core's own split off, the rest decoded into the driver's options class."""

from __future__ import annotations

import enum
import functools
from typing import TYPE_CHECKING, Any, TypeVar

import attrs
import cattrs
from cattrs.errors import (
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    StructureHandlerNotFoundError,
)

from meshnet.driver import told
from meshnet.driver.api import Attachment
from meshnet.driver.optiontypes import RIGHT, undecodable
from meshnet.errors import InvalidObject, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshnet.driver.api import LinkDriver

E = TypeVar("E", bound=enum.Enum)


@attrs.frozen
class CoreOptions:
    """Options that core understands itself, whatever the driver.

    Attributes:
        offload: leave checksum and segmentation offload on at the ports: faster, but a receiver that reads raw frames
            sees unfilled checksums and frames longer than the MTU.
    """

    offload: bool = False


_CORE = frozenset(attrs.fields_dict(CoreOptions))


def decode_options(
    driver: LinkDriver | type[LinkDriver], options: Mapping[str, Any], path: str, *, object: str = "Topology"
) -> tuple[CoreOptions, Any]:
    """Return core's options and an instance of the driver's options class.

    Args:
        driver: whose options they are.
        options: as they stand in the link, JSON types.
        path: where they stand, for messages: ``spec.links[2].options``.
        object: whose they are, for messages: ``Topology default/r1``.

    Raises InvalidObject with every option that is unknown, missing or of a wrong type.
    """
    uses_port = driver.attachment is Attachment.PORT
    core_part = {key: value for key, value in options.items() if key in _CORE}
    driver_part = {key: value for key, value in options.items() if key not in _CORE}
    core, core_problems = _decode(CoreOptions, core_part if uses_port else {}, path, driver)
    own, own_problems = _decode(driver.options, driver_part, path, driver)
    foreign = [] if uses_port else [_not_for_direct(driver, path, key, value) for key, value in core_part.items()]
    problems = [*foreign, *core_problems, *own_problems]
    if problems:
        raise InvalidObject(object, problems)
    return core, own


def per_end(driver: LinkDriver | type[LinkDriver]) -> frozenset[str]:
    """Return the options that may differ at the two ends of a link."""
    return frozenset(field.name for field in attrs.fields(driver.options) if field.metadata.get("per_end") is True)


def option_names(driver: LinkDriver | type[LinkDriver]) -> tuple[str, ...]:
    """Return every option that a link of this driver may carry, core's own first."""
    own = tuple(attrs.fields_dict(driver.options))
    return (*sorted(_CORE), *own) if driver.attachment is Attachment.PORT else own


def options_problem(driver: type[LinkDriver]) -> str | None:
    """Return what is wrong with the declared options class itself, or None."""
    options = getattr(driver, "options", None)
    if not isinstance(options, type) or not attrs.has(options):
        return f"options is {options!r}; right would be an attrs class, a field an option"
    taken = _CORE & set(attrs.fields_dict(options))
    if taken:
        return f"options has the field {min(taken)!r}, which is core's own; right would be another name"
    try:
        _converter().get_structure_hook(options)
        wrong = undecodable(options, _is_known)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's annotations make cattrs raise
        return f"options class {options.__qualname__} cannot be decoded: {told.of_error(error)}"
    return None if wrong is None else f"options has the field {told.one_line(wrong)}; right would be {RIGHT}"


def _not_for_direct(driver: LinkDriver | type[LinkDriver], path: str, key: str, value: object) -> Problem:
    right = f"no such option: driver {driver.name} makes the interface itself and has no port"
    return Problem(f"{path}.{key}", value, right)


def _decode(
    cls: type, values: Mapping[str, Any], path: str, driver: LinkDriver | type[LinkDriver]
) -> tuple[Any, list[Problem]]:
    try:
        return _converter().structure(values, cls), []
    except ClassValidationError as error:
        return None, [_problem(found, values, path, driver) for found in _flatten(error, ())]


@attrs.frozen
class _Found:
    keys: tuple[str | int, ...]
    error: BaseException


def _flatten(error: BaseException, keys: tuple[str | int, ...]) -> Iterator[_Found]:
    """Yield the leaves of a tree of cattrs errors, each with the keys that lead to it."""
    noted: list[tuple[Exception, str | int]]
    if isinstance(error, ClassValidationError):
        of_fields, others = error.group_exceptions()
        noted = [(cause, note.name) for cause, note in of_fields]
    elif isinstance(error, IterableValidationError):
        of_items, others = error.group_exceptions()
        noted = [(cause, note.index) for cause, note in of_items]
    else:
        yield _Found(keys, error)
        return
    for cause, key in noted:
        yield from _flatten(cause, (*keys, key))
    for cause in others:
        if isinstance(cause, ForbiddenExtraKeysError):
            for field in sorted(cause.extra_fields):
                yield _Found((*keys, field), cause)
        else:
            yield from _flatten(cause, keys)


def _problem(found: _Found, values: Any, path: str, driver: LinkDriver | type[LinkDriver]) -> Problem:
    value = values
    for key in found.keys:
        path += f"[{key}]" if isinstance(key, int) else f".{key}"
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            value = None
    return Problem(path, value, _right(found, driver))


def _right(found: _Found, driver: LinkDriver | type[LinkDriver]) -> str:
    if isinstance(found.error, ForbiddenExtraKeysError):
        known = option_names(driver) if len(found.keys) == 1 else tuple(attrs.fields_dict(found.error.cl))
        return f"driver {driver.name} has no such option; it has {', '.join(known) or 'none'}"
    if isinstance(found.error, KeyError):
        return "required"
    return told.said(found.error) or type(found.error).__name__


@functools.cache
def _converter() -> cattrs.Converter:
    """Return the converter that refuses unknown keys and never guesses a type.

    Made once: making it takes longer than making a link, and it holds no more than the classes of installed drivers.
    """
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for primitive in (bool, int, float, str):
        converter.register_structure_hook(primitive, _strict)
    converter.register_structure_hook(enum.Enum, _one_of)
    return converter


def _is_known(hint: Any) -> bool:
    """Tell whether the converter has any idea of a type."""
    try:
        _converter().structure(object(), hint)
    except StructureHandlerNotFoundError:
        return False
    except Exception:  # noqa: BLE001 - it is no such value, which somebody could tell
        return True
    return True


_WORDS: Mapping[type, str] = {bool: "true or false", int: "a whole number", float: "a number", str: "a string"}


def _strict(value: Any, cls: type) -> Any:
    """Take a value of exactly this type; a float may be written as a whole number."""
    if type(value) is cls:
        return value
    if cls is float and type(value) is int:
        return float(value)
    raise TypeError(f"right would be {_WORDS[cls]}")


def _one_of(value: Any, cls: type[E]) -> E:
    for member in cls:
        if member.value == value and type(member.value) is type(value):
            return member
    raise ValueError(f"right would be one of {', '.join(str(member.value) for member in cls)}")
