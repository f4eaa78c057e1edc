"""Pods for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.cluster.machine.images import TOOLS

if TYPE_CHECKING:
    from tests.cluster.machine.client import Client


def pod(name: str, node: str, *command: str, namespace: str = "default", **spec: Any) -> dict[str, Any]:
    """Return a pod of one container with busybox, which is bound to a node; without a command it just stays."""
    container: dict[str, Any] = {"name": "main", "image": TOOLS, "imagePullPolicy": "Never"}
    if command:
        container["command"] = list(command)
    whole = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container], **spec}
    labels = {"app": name}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole}


def wait_ready(client: Client, *names: str, namespace: str = "default") -> None:
    """Wait until pods are Ready."""
    pods = [f"pod/{name}" for name in names]
    client.kubectl("wait", "--for=condition=Ready", *pods, f"--namespace={namespace}", "--timeout=120s")


def address(client: Client, name: str, namespace: str = "default") -> str:
    """Return a pod's address."""
    return str(client.get("pod", name, f"--namespace={namespace}")["status"]["podIP"])


def delete(client: Client, *names: str, namespace: str = "default") -> None:
    """Delete pods and wait until they are gone."""
    client.kubectl("delete", "pod", *names, f"--namespace={namespace}", "--timeout=120s")
