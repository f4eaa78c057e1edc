"""A user of a cluster: kubectl with a kubeconfig, and the few things that tests ask again and again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.cluster.machine.commands import attempt, run

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

REQUEST_S = 60
"""How long one request may take; waits say their own ``--timeout``."""


@dataclass
class Client:
    """Somebody who may do something.

    Attributes:
        kubeconfig: who it is, and where the server is: usable by anything that takes a kubeconfig.
        kubectl_program: the program.
        home: a directory for kubectl's cache.
    """

    kubeconfig: Path
    kubectl_program: Path
    home: Path

    def kubectl(self, *words: str, stdin: str = "", timeout_s: float = 180) -> str:
        """Run kubectl, which must succeed, and return what it printed.

        Raises:
            ClusterError: it failed, with what it said.
        """
        return run(self.command(*words), stdin=stdin, env=self._environment(), timeout_s=timeout_s)

    def try_kubectl(self, *words: str, stdin: str = "", timeout_s: float = 180) -> subprocess.CompletedProcess[str]:
        """Run kubectl, which may fail, and return how it ended."""
        return attempt(self.command(*words), stdin=stdin, env=self._environment(), timeout_s=timeout_s)

    def command(self, *words: str) -> list[str]:
        """Return the command of a kubectl, for who starts it otherwise."""
        return [str(self.kubectl_program), f"--kubeconfig={self.kubeconfig}", *words]

    def get(self, *words: str) -> Any:
        """Return what ``kubectl get`` finds, as JSON."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def apply(self, *objects: dict[str, Any]) -> None:
        """Apply objects."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))

    def apply_directory(self, directory: Path) -> None:
        """Apply a kustomization."""
        self.kubectl("apply", "-k", str(directory))

    def token(self, namespace: str, account: str, *more: str) -> str:
        """Return a new token of a service account.

        Args:
            namespace: of the account.
            account: its name.
            more: arguments of ``kubectl create token``, as ``--bound-object-kind=Pod``, ``--bound-object-name=NAME``.
        """
        return self.kubectl("create", "token", account, f"--namespace={namespace}", *more).strip()

    def _environment(self) -> dict[str, str]:
        return {"HOME": str(self.home), "PATH": "/usr/bin:/bin"}
