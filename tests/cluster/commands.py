"""meshnet's own command, as somebody who has a kubeconfig types it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cluster.machine.commands import wait_for

if TYPE_CHECKING:
    from tests.cluster.machine.client import Client

LIMIT_S = 120
BIN = Path(sys.executable).parent
OURS = ("MESHNET_LAB", "MESHNET_STORE", "MESHNET_SOCKET", "KUBECONFIG")


@dataclass
class Command:
    """Commands on a cluster.

    Attributes:
        kubeconfig: who asks, and where; its context names the namespace.
        kubectl_program: runs the same command as its plugin.
    """

    kubeconfig: Path
    kubectl_program: Path

    @classmethod
    def of(cls, client: Client, directory: Path, namespace: str = "") -> Command:
        """Return the commands of a client, with a namespace in the context of its kubeconfig."""
        config = json.loads(client.kubeconfig.read_text())
        if namespace:
            config["contexts"][0]["context"]["namespace"] = namespace
        path = directory / "kubeconfig"
        path.touch(mode=0o600)
        path.write_text(json.dumps(config))
        return cls(path, client.kubectl_program)

    def run(self, *words: str, stdin: str = "", code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run a command and hold it to its exit code (None: any); it names the cluster, since labs may run here."""
        return self._run([sys.executable, "-m", "meshnet", *words, "--kubeconfig", str(self.kubeconfig)], stdin, code)

    def as_plugin(self, *words: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """Run it as ``kubectl meshnet``, which finds the cluster by itself."""
        return self._run([str(self.kubectl_program), "meshnet", *words], "", code)

    def get(self, *words: str) -> Any:
        """Return what ``meshnet get`` prints as JSON."""
        return json.loads(self.run("get", *words, "-o", "json").stdout)

    def links(self, *words: str) -> dict[int, dict[str, Any]]:
        """Return the links by their uid."""
        return {link["uid"]: link for link in self.get("links", *words)}

    def whole(self, *words: str, plugin: bool = False) -> Any:
        """Return what is printed once every node has answered in its 3 s, which on a busy machine it may not.

        With `plugin` it is kubectl that runs it.
        """
        run = self.as_plugin if plugin else self.run
        found: list[Any] = []

        def every_node_answers() -> bool:
            ran = run(*words, "-o", "json", code=None)
            if ran.returncode or "not reached" in ran.stderr:
                return False
            found.append(json.loads(ran.stdout))
            return True

        wait_for(every_node_answers, f"every daemon to answer {' '.join(words)}")
        return found[-1]

    def whole_links(self) -> dict[int, dict[str, Any]]:
        """Return the links by their uid, once every node has told of its own."""
        return {link["uid"]: link for link in self.whole("get", "links")}

    def doctor(self) -> list[dict[str, str]]:
        """Return what ``meshnet doctor`` finds."""
        found: list[dict[str, str]] = json.loads(self.run("doctor", "-o", "json", code=None).stdout)
        return found

    def _run(self, command: list[str], stdin: str, code: int | None) -> subprocess.CompletedProcess[str]:
        environ = {name: value for name, value in os.environ.items() if name not in OURS}
        environ |= {"KUBECONFIG": str(self.kubeconfig), "PATH": f"{BIN}:/usr/bin:/bin"}
        ran = subprocess.run(
            command, input=stdin, env=environ, capture_output=True, text=True, check=False, timeout=LIMIT_S
        )
        assert code is None or ran.returncode == code, f"{command}: exit {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran
