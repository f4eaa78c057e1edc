"""What the API server answers: a document, or what it refuses, as our errors: by status and reason, never by text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from meshnet.errors import Conflict, InvalidObject, NotFound, Problem, StoreUnavailable, WatchExpired
from meshnet.model.entry import problem
from meshnet.model.resource import GROUP
from meshnet.stores.depth import decode
from meshnet.stores.kubernetes.request import PLURALS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from meshnet.errors import MeshnetError
    from meshnet.stores.kubernetes.door import Answer
    from meshnet.stores.kubernetes.request import Request

_STEP = re.compile(r"\[(\d+)\]|\[([^\]]+)\]|([^.\[\]]+)")
_WITH_VALUE = ("Invalid value", "Unsupported value", "Duplicate value", "Not found", "Too long", "Too many")
_WHO = ": the token or certificate is not valid, or not any more; 'kubectl auth whoami' tells who it is"
_UNSAID = {"Duplicate value": "must be there once", "Required value": "must be given", "Not found": "must exist"}


class Busy(StoreUnavailable):
    """The server will not now.

    Attributes:
        retry_after_s: when it may be asked again.
    """

    def __init__(self, message: str, retry_after_s: float) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(message)


def closed() -> StoreUnavailable:
    """What whoever still asks a closed store is told."""
    return StoreUnavailable("the store on Kubernetes is closed")


def status_of(answer: Answer) -> dict[str, Any]:
    """Return the API's Status in an answer; an empty one when somebody else answered, or a server that cannot."""
    try:
        status = decode(answer.body)
    except ValueError:
        return {}
    return status if isinstance(status, dict) and status.get("kind") == "Status" else {}


def document_of(request: Request, answer: Answer, server: str) -> dict[str, Any]:
    """Return the document in an answer. Raises what `refusal` returns, StoreUnavailable for what is none."""
    if not 200 <= answer.status < 300:
        raise refusal(request, answer, server)
    try:
        document = decode(answer.body)
    except ValueError:
        document = None
    if not isinstance(document, dict) or not _answers(request, document):
        doing, told = f"{request.verb} {request.resource} at {server}", answer.body[:80]
        raise StoreUnavailable(f"{request.what}: {doing}: the answer is no JSON object of the API: {told!r}")
    return document


def _answers(request: Request, document: Mapping[str, Any]) -> bool:
    """Whether it is a list, or of ours with metadata, where that was asked for: others may answer in JSON, too."""
    if request.verb == "list" and not isinstance(document.get("items"), list):
        return False
    if request.resource.partition("/")[0] not in PLURALS.values() or request.verb == "delete":
        return True
    metadata = document.get("metadata")
    return isinstance(metadata, dict) and (request.verb != "list" or "resourceVersion" in metadata)


def refusal(request: Request, answer: Answer, server: str) -> MeshnetError:
    """Return the error that an answer other than success means."""
    status = status_of(answer)
    told = status.get("message") or answer.body[:200].decode(errors="replace").strip()
    match answer.status:
        case 404 if missing := _not_there(request, status, told):
            return missing
        case 409:
            exists = status.get("reason") == "AlreadyExists"
            why = "exists already" if exists else f"changed since it was read: {told}"
            return Conflict(f"{request.what}: {why}")
        case 410:
            return WatchExpired(f"{told}: list again")
        case 400 | 413 | 422 if status and request.method != "GET":  # to read is never an object's fault
            return InvalidObject(request.what, list(_problems(status, request.document)))
        case 403:
            return _forbidden(request, status, told)
    doing = f"{request.verb} {request.resource}"
    hint = _WHO if answer.status == 401 else ""
    message = f"{request.what}: {server} answered {answer.status} to {doing}: {told}{hint}"
    return StoreUnavailable(message) if answer.retry_after_s is None else Busy(message, answer.retry_after_s)


def _not_there(request: Request, status: Mapping[str, Any], told: str) -> MeshnetError | None:
    """Only that very object's absence is one; where its kind or its namespace is missing nothing is known of it.

    None where something is missing that is not ours: a node that `pods/exec` must reach, an API of an older server.
    """
    details = status.get("details") or {}
    plural = request.resource.partition("/")[0]
    if request.verb == "create" and details.get("kind") == "namespaces":
        right = "must exist: kubectl create namespace NAME"
        return InvalidObject(request.what, [Problem("metadata.namespace", details.get("name"), right)])
    if request.name and (details.get("kind"), details.get("name")) == (plural, request.name):
        return NotFound(f"{request.what}: does not exist")
    if plural not in PLURALS.values():
        return None
    return StoreUnavailable(
        f"{request.what}: the cluster has no resource {plural}.{GROUP}: kubectl apply -k manifests/base ({told})"
    )


def _forbidden(request: Request, status: Mapping[str, Any], told: str) -> MeshnetError:
    causes = (status.get("details") or {}).get("causes") or []
    if any(cause.get("reason") == "NamespaceTerminating" for cause in causes):
        right = f"must not be a namespace that is being deleted ({told})"
        return InvalidObject(request.what, [Problem("metadata.namespace", None, right)])
    return StoreUnavailable(
        f"{request.what}: this account may not {request.verb} {request.resource}: "
        f"an RBAC rule, or an admission policy, must allow it ({told})"
    )


def _problems(status: Mapping[str, Any], document: Mapping[str, Any] | None) -> Iterator[Problem]:
    causes = (status.get("details") or {}).get("causes")
    if not causes:
        yield Problem("object", None, str(status.get("message") or "refused by the API server"))
    for cause in causes or ():
        field = str(cause.get("field") or "object")
        value, right = _read_message(str(cause.get("message") or ""))
        if document is not None:
            # What the server shows is often only its type.
            value = _value_at(document, field)
        yield problem(field, value, right.removeprefix(f"{field} in body "))


def _read_message(message: str) -> tuple[object, str]:
    """Take ``Invalid value: "x": must be …`` apart: the value and what would be right."""
    form, colon, rest = message.partition(": ")
    if form in _WITH_VALUE and colon:
        try:
            value, end = json.JSONDecoder().raw_decode(rest)
        except ValueError:
            return None, _UNSAID.get(form, rest)
        return value, rest[end:].removeprefix(": ") or _UNSAID.get(form, form.lower())
    return None, _UNSAID.get(message) or (rest if form in ("Required value", "Forbidden") else message)


def _value_at(document: object, field: str) -> object:
    """The value at a path such as ``spec.links[0].uid``; None where nothing is."""
    for index, key, name in _STEP.findall(field):
        if index:
            document = document[int(index)] if isinstance(document, list) and int(index) < len(document) else None
        else:
            document = document.get(key or name) if isinstance(document, Mapping) else None
    return document
