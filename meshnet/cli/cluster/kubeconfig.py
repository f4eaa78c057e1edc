"""Which cluster is meant, by the rules that kubectl has: files, context, namespace."""

from __future__ import annotations

import itertools
import os
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import Problem, UsageError
from meshnet.model import rules
from meshnet.model.documents import read_documents
from meshnet.model.resource import DEFAULT_NAMESPACE
from meshnet.presence import is_file
from meshnet.stores.kubernetes.access import DEFAULT_KUBECONFIG, at_home

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

ENTRIES = {"contexts": "context", "clusters": "cluster", "users": "user"}
"""The lists of a kubeconfig, and what each entry has beside its name."""
IN_POD = "KUBERNETES_SERVICE_HOST"
"""The variable by which a pod knows that it runs in a cluster, whose service account it has."""


@attrs.frozen
class Chosen:
    """A cluster, and as whom.

    Attributes:
        files: kubeconfigs as in KUBECONFIG, none that is empty; ``""``: the service account of the pod where this runs.
        context: of the kubeconfig.
        namespace: that the context names, else ``default``.
    """

    files: str = ""
    context: str = ""
    namespace: str = DEFAULT_NAMESPACE


def choose(kubeconfig: str | None, context: str | None, environ: Mapping[str, str]) -> Chosen | None:
    """Return the cluster that is meant: by `kubeconfig` and `context` where given, else the current one.

    None when nothing was given and nothing is here. Raises UsageError when there is no such file or context, or a file
    may not be read or has a wrong entry, and BadText when a file is no kubeconfig.
    """
    files = [kubeconfig] if kubeconfig is not None else _usual(environ)
    present = [file for file in files if file and _is_there(file)]
    if kubeconfig is not None and not present:
        raise UsageError(f"--kubeconfig {kubeconfig}: there is no such file")
    if not present:
        if context is not None:
            raise UsageError(f"--context {context}: there is no kubeconfig: {', '.join(files)}; set KUBECONFIG")
        return Chosen() if environ.get(IN_POD) else None
    return _in_files(present, context)


def _usual(environ: Mapping[str, str]) -> Sequence[str]:
    # An empty KUBECONFIG is one that is not set, as kubectl has it.
    named = environ.get("KUBECONFIG")
    return [file for file in named.split(os.pathsep) if file] if named else [DEFAULT_KUBECONFIG]


def _is_there(file: str) -> bool:
    try:
        return is_file(at_home(file))
    except OSError as error:
        raise UsageError(f"kubeconfig {file}: {error.strerror}") from error


def _in_files(files: Sequence[str], context: str | None) -> Chosen:
    what = f"kubeconfig {os.pathsep.join(files)}"
    read = {file: list(_checked(file, _read(file))) for file in files}
    configs = list(itertools.chain(*read.values()))
    contexts = _contexts(configs)
    known = f"it has {', '.join(contexts)}" if contexts else "it has none"
    name = context if context is not None else next(filter(None, map(_current, configs)), None)
    if name is None:
        raise UsageError(f"{what}: current-context: names none; name one by --context ({known})")
    if name not in contexts:
        said = f"--context {name}" if context is not None else f"{what}: current-context: {name!r}"
        raise UsageError(f"{said}: there is no such context in {what}; {known}")
    try:
        namespace = rules.namespace_name(contexts[name].get("namespace") or DEFAULT_NAMESPACE)
    except rules.RuleError as error:  # in a URL ".." would be every namespace
        raise UsageError(f"{what}: context {name}: {Problem('namespace', error.value, error.right)}") from None
    return Chosen(os.pathsep.join(file for file in files if read[file]), name, namespace)


def _read(file: str) -> Iterator[Mapping[str, Any]]:
    try:
        text = at_home(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "this is not UTF-8 text"
        raise UsageError(f"kubeconfig {file}: {why}") from error
    return (document.document for document in read_documents(text, file))


def _checked(file: str, configs: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Yield what has no wrong entry: the client that signs in tells neither which it is nor what is right."""
    for config in configs:
        problem = next(itertools.chain(*(_problems(config, *kind) for kind in ENTRIES.items())), None)
        if problem is not None:
            raise UsageError(f"kubeconfig {file}: {problem}")
        yield config


def _problems(config: Mapping[str, Any], plural: str, kind: str) -> Iterator[Problem]:
    """Yield what is wrong in one list, without the values: a user's may be a secret."""
    entries = config.get(plural)
    if entries is not None and not isinstance(entries, list):
        yield Problem(plural, None, f"must be a list, not {_shown(entries)}")
        return
    for index, entry in enumerate(entries or ()):
        path = f"{plural}[{index}]"
        if not isinstance(entry, dict):
            yield Problem(path, None, f"must be a map with name and {kind}, not {_shown(entry)}")
        elif not isinstance(entry.get("name"), str):
            yield Problem(f"{path}.name", None, f"must be a string (in quotes), not {_shown(entry.get('name'))}")
        elif not isinstance(entry.get(kind), dict | None):
            yield Problem(f"{path}.{kind}", None, f"must be a map, not {_shown(entry[kind])}")


def _shown(value: object) -> str:
    """Return what a value is, in words of YAML."""
    kinds = {str: "a string", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "a map"}
    return kinds.get(type(value), "null")


def _contexts(configs: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Return the contexts by name; of several with the same name the first counts."""
    found: dict[str, Mapping[str, Any]] = {}
    for config in configs:
        for entry in config.get("contexts") or ():
            found.setdefault(entry["name"], entry.get("context") or {})
    return found


def _current(config: Mapping[str, Any]) -> str | None:
    name = config.get("current-context")
    return name if isinstance(name, str) and name else None
