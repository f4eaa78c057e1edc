"""From documents to types. Beside `meshnet.driver.options` the only importer of cattrs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cattrs import AttributeValidationNote, ClassValidationError, Converter, IterableValidationNote

from meshnet.errors import InvalidObject
from meshnet.model import entry as fields
from meshnet.model import rules
from meshnet.model.entry import Entry, entry_problems, judge, problem, to_link, without_absent
from meshnet.model.objectsize import why_too_large
from meshnet.model.resource import API_VERSION, DEFAULT_NAMESPACE, Kind
from meshnet.model.topology import MAX_EPOCH, Claim, Link, Topology

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from meshnet.errors import Problem


def decode_topology(document: Mapping[str, Any]) -> Topology:
    """Return the Topology that a document describes.

    Unknown fields mean nothing; ``null`` in a link counts as absent, and ``""`` where a text stands. So do `spec`
    and `spec.links` when null or missing, and a namespace (``default``). A broken status is an empty claim.

    Raises:
        InvalidObject: with everything that is wrong, each with its path.
    """
    if not isinstance(document, Mapping):
        raise InvalidObject(Kind.TOPOLOGY.value, [problem("", document, "must be a map: one object")])
    metadata = document.get("metadata")
    links, problems = _decode_links(document.get("spec"), metadata)
    problems = [*_head_problems(document), *problems]
    if not problems and (too_large := why_too_large(document, [link.local_intf for link in links])):
        problems = [problem("spec", None, too_large)]
    if problems:
        raise InvalidObject(title(document), problems)
    assert isinstance(metadata, Mapping)
    return Topology(
        namespace=metadata.get("namespace") or DEFAULT_NAMESPACE,
        name=metadata["name"],
        links=tuple(links),
        claim=decode_claim(document.get("status")),
        uid=_typed(metadata.get("uid"), str, ""),
    )


def decode_claim(status: object) -> Claim:
    """Return who runs the pod, by a Topology's status; what is not understood counts as not there."""
    if not isinstance(status, Mapping):
        return Claim()
    return Claim(
        node=_typed(status.get("node"), str, ""),
        container_id=_typed(status.get("container_id"), str, ""),
        epoch=epoch if 0 <= (epoch := _typed(status.get("epoch"), int, 0)) <= MAX_EPOCH else 0,
        pod_uid=_typed(status.get("pod_uid"), str, ""),
        receive_ids=dict(_receive_ids(status.get("links"))),
    )


def _receive_ids(links: object) -> Iterator[tuple[str, int]]:
    for entry in links if isinstance(links, list) else ():
        if isinstance(entry, Mapping):
            interface, number = entry.get("local_intf"), entry.get("receive_id")
            if isinstance(interface, str) and type(number) is int and 0 < number < 1 << 24:
                yield interface, number


def title(document: Mapping[str, Any]) -> str:
    """An object's name as a user knows it, also when the object is broken: ``Topology default/r1``."""
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        metadata = {}
    kind = _typed(document.get("kind"), str, "") or Kind.TOPOLOGY.value
    namespace = _typed(metadata.get("namespace"), str, "") or DEFAULT_NAMESPACE
    return f"{kind} {namespace}/{_typed(metadata.get('name'), str, '') or '?'}"


def _head_problems(document: Mapping[str, Any]) -> Iterator[Problem]:
    """What is wrong outside `spec`. Type and version may be absent: a list's items often come without."""
    for name, right in (("apiVersion", API_VERSION), ("kind", Kind.TOPOLOGY.value)):
        if document.get(name) not in (None, right):
            yield problem(name, document[name], f"must be {right}")
    metadata = document.get("metadata")
    if not isinstance(metadata, Mapping):
        yield problem("metadata", metadata, "must be a map with the name of the pod")
        return
    yield from judge("metadata.name", metadata.get("name"), rules.pod_name)
    if metadata.get("namespace") not in (None, ""):
        yield from judge("metadata.namespace", metadata["namespace"], rules.namespace_name)


def _decode_links(spec: object, metadata: object) -> tuple[list[Link], list[Problem]]:
    if spec is None:
        return [], []
    if not isinstance(spec, Mapping):
        return [], [problem("spec", spec, "must be a map with the list 'links'")]
    entries = spec.get("links")
    if entries is None:
        return [], []
    if not isinstance(entries, list):
        return [], [problem("spec.links", entries, "must be a list of links")]
    if len(entries) > rules.MAX_LINKS:
        return [], [problem("spec.links", entries, f"must have at most {rules.MAX_LINKS} links")]
    pod = metadata.get("name") if isinstance(metadata, Mapping) else None
    links: list[Link] = []
    problems: list[Problem] = []
    first_use: dict[str, int] = {}
    for index, entry in enumerate(entries):
        problems += _decode_link(f"spec.links[{index}]", entry, pod, links)
        problems += _taken(index, entry, first_use)
    return links, problems


def _decode_link(path: str, entry: object, pod: object, links: list[Link]) -> Iterator[Problem]:
    """Append the link to `links`, or yield what is wrong with it."""
    if not isinstance(entry, Mapping):
        yield problem(path, entry, "must be a map: one link")
        return
    try:
        decoded = _CONVERTER.structure(without_absent(entry), Entry)
    except ClassValidationError as error:
        yield from _problems(path, error)
    else:
        yield from entry_problems(path, decoded, pod)
        links.append(to_link(decoded))


def _taken(index: int, entry: object, first_use: dict[str, int]) -> Iterator[Problem]:
    """Whether an earlier link has this interface already; found also when something else is wrong with either."""
    interface = entry.get("local_intf") if isinstance(entry, Mapping) else None
    if isinstance(interface, str) and interface and first_use.setdefault(interface, index) != index:
        right = f"must be an interface of its own; spec.links[{first_use[interface]}] has this one"
        yield problem(f"spec.links[{index}].local_intf", interface, right)


def _typed(value: object, kind: type[Any], otherwise: Any) -> Any:
    """The value if it has that very type (a boolean is no integer), else the other."""
    return value if type(value) is kind else otherwise


def _cidrs(value: object) -> tuple[str, ...]:
    """A list of CIDRs; raises `RuleError` for what is no list, a group of them for wrong elements."""
    if not isinstance(value, list):
        raise rules.RuleError(value, "must be a list of addresses with prefix length")
    if len(value) > rules.MAX_ADDRESSES:
        raise rules.RuleError(value, f"must have at most {rules.MAX_ADDRESSES} addresses")
    found: list[str] = []
    errors: list[Exception] = []
    for index, element in enumerate(value):
        try:
            found.append(rules.cidr(element))
        except rules.RuleError as wrong:
            wrong.add_note(IterableValidationNote("element", index, str))
            errors.append(wrong)
    if errors:
        raise ClassValidationError("addresses", errors, Entry)
    return tuple(found)


def _problems(path: str, error: BaseException) -> Iterator[Problem]:
    """Every problem in what cattrs raised, with its path."""
    path += _step(error)
    if isinstance(error, ClassValidationError):
        for inner in error.exceptions:
            yield from _problems(path, inner)
    elif isinstance(error, rules.RuleError):
        yield problem(path, error.value, error.right)
    elif isinstance(error, KeyError):
        yield problem(path, None, "is required")
    else:
        raise error


def _step(error: BaseException) -> str:
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            return f".{note.name}"
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]"
    return ""


def _make_converter() -> Converter:
    """A converter that knows one strict rule a field type; cattrs' own would read ``"1"`` as a number."""
    strict: dict[Any, Callable[[object], object]] = {
        fields.Uid: rules.uid,
        fields.PodName: rules.pod_name,
        fields.PodInterface: rules.pod_interface,
        fields.InterfaceName: rules.interface_name,
        fields.Cidr: rules.cidr,
        fields.Cidrs: _cidrs,
        fields.Mac: rules.mac,
        fields.DriverName: rules.driver_name,
        fields.Mtu: rules.mtu,
        fields.Options: rules.options,
        fields.Flag: rules.flag,
    }
    converter = Converter(detailed_validation=True)
    for field_type, rule in strict.items():
        converter.register_structure_hook(field_type, _hook(rule))
    return converter


def _hook(rule: Callable[[object], object]) -> Callable[[object, object], object]:
    return lambda value, _: rule(value)


_CONVERTER = _make_converter()
