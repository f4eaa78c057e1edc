"""`CNI_ARGS`: what the runtime says about the pod."""

from __future__ import annotations

import re
from dataclasses import dataclass

from meshnet.cni.error import CniError, Code

_DNS_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_UID = re.compile(r"[-A-Za-z0-9._]{1,128}")
_RIGHT = {
    "IgnoreUnknown": (re.compile(r"1|0|true|false", re.IGNORECASE), "1, 0, true or false"),
    "K8S_POD_NAME": (_DNS_NAME, "a name as Kubernetes has it: a-z, 0-9, '-', '.'"),
    "K8S_POD_NAMESPACE": (_DNS_NAME, "a name as Kubernetes has it: a-z, 0-9, '-', '.'"),
    "K8S_POD_UID": (_UID, "a uid: letters, digits, '-', '.', '_'"),
}
_KNOWN = {*_RIGHT, "K8S_POD_INFRA_CONTAINER_ID"}


@dataclass(frozen=True, slots=True)
class Args:
    """The pod that an attachment is for.

    Attributes:
        pod_name, pod_namespace, pod_uid: ``""`` where the runtime does not tell: it is not Kubernetes. A name without a
            namespace is none of a pod's.
    """

    pod_name: str = ""
    pod_namespace: str = ""
    pod_uid: str = ""


def parse_args(text: str) -> Args:
    """Arguments from ``K=V;K=V``; an unknown K needs ``IgnoreUnknown=1``, in whatever place.

    Raises:
        CniError: code 4, naming CNI_ARGS, the key, its value, and what would be right.
    """
    pairs: dict[str, str] = {}
    for pair in filter(None, text.split(";")):
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise CniError(Code.INVALID_ENVIRONMENT, f"CNI_ARGS: {pair[:80]!r}: KEY=VALUE, separated by ';'")
        pairs[key] = value
    unknown = [key for key in pairs if key not in _KNOWN]
    if unknown and pairs.get("IgnoreUnknown", "").lower() not in ("1", "true"):
        raise CniError(Code.INVALID_ENVIRONMENT, f"CNI_ARGS: {unknown[0][:80]!r}: not known; IgnoreUnknown=1 allows it")
    if not pairs.get("K8S_POD_NAMESPACE"):
        pairs.pop("K8S_POD_NAME", None)  # Podman's for a container, whose name need not be one that Kubernetes takes
    for key, (pattern, right) in _RIGHT.items():
        value = pairs.get(key, "")
        if value and not pattern.fullmatch(value):
            raise CniError(Code.INVALID_ENVIRONMENT, f"CNI_ARGS: {key}: {value[:80]!r}: {right}")
    return Args(pairs.get("K8S_POD_NAME", ""), pairs.get("K8S_POD_NAMESPACE", ""), pairs.get("K8S_POD_UID", ""))
