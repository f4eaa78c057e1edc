"""The daemons of a cluster, asked all at once: a command in the pod of each, which prints what its socket answers."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from typing import TYPE_CHECKING, Any

from meshnet.cli.answers import misshapen
from meshnet.cli.ask import TIMEOUT_S, Answers
from meshnet.cli.cluster.pods import CONTAINER, NAMESPACE, SELECTOR, daemon_pods
from meshnet.errors import MeshnetError, StoreUnavailable
from meshnet.stores.kubernetes.exec import exec_request, run_in_pod
from meshnet.stores.kubernetes.threads import Threads

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.cli.cluster.pods import DaemonPod
    from meshnet.stores.kubernetes.access import Access
    from meshnet.stores.kubernetes.exec import Ran
    from meshnet.stores.kubernetes.reader import Reader

NONE = f"namespace {NAMESPACE} has no pod with the label {SELECTOR}: kubectl apply -k manifests/base"


class Daemons:
    """Runs commands where the daemons are, with the user's own rights.

    Args:
        access: to the API server, and as whom.
        reader: of the same.
    """

    def __init__(self, access: Access, reader: Reader) -> None:
        self._access = access
        self._reader = reader

    def pods(self, limit_s: float = TIMEOUT_S) -> Mapping[str, DaemonPod]:
        """Return the pod of each node. Raises StoreUnavailable."""
        return daemon_pods(self._reader.list("/api/v1", NAMESPACE, "pods", limit_s=limit_s, labelSelector=SELECTOR))

    def ask(self, query: str) -> Answers:
        """Return what they answer; 3 s at most, signing in apart."""
        outcomes, silent, trouble = self._run(["meshnet", "daemon", "--ask", query], TIMEOUT_S)
        told: dict[str, dict[str, Any]] = {}
        for node, ran in outcomes.items():
            try:
                told[node] = _answer(query, ran)
            except ValueError as error:
                silent[node] = str(error)
        return Answers(told, silent, trouble)

    def run(self, command: Sequence[str], limit_s: float) -> tuple[Mapping[str, Ran], Mapping[str, str]]:
        """Run a command in every pod; return by node how it ended, and why it could not be run within `limit_s`.

        Raises StoreUnavailable when it is not known which pods there are.
        """
        outcomes, silent, trouble = self._run(command, limit_s)
        if trouble:
            raise StoreUnavailable(trouble)
        return outcomes, silent

    def _run(self, command: Sequence[str], limit_s: float) -> tuple[dict[str, Ran], dict[str, str], str]:
        try:
            configuration, _ = self._access.configuration()
            deadline = time.monotonic() + limit_s
            pods = self.pods(limit_s)
        except MeshnetError as error:
            return {}, {}, str(error)
        silent = {pod.node: f"pod {NAMESPACE}/{pod.name}: {pod.condition}" for pod in pods.values() if not pod.running}
        names = {pod.node: pod.name for pod in pods.values() if pod.running}
        found = asyncio.run(_all_at_once(configuration, names, command, deadline)) if names else {}
        ran = {node: one for node, one in found.items() if not isinstance(one, MeshnetError)}
        silent |= {node: str(one) for node, one in found.items() if isinstance(one, MeshnetError)}
        return ran, silent, "" if pods else NONE


async def _all_at_once(
    configuration: Any, pods: Mapping[str, str], command: Sequence[str], deadline: float
) -> Mapping[str, Ran | MeshnetError]:
    """Run a command in the pods, by node; who has not answered at the deadline is not waited for."""
    threads = Threads(len(pods), "exec")
    left = deadline - time.monotonic()

    async def one(pod: str) -> Ran | MeshnetError:
        request = exec_request(NAMESPACE, pod, CONTAINER, command)
        try:
            async with asyncio.timeout(left):
                return await threads.run(functools.partial(run_in_pod, configuration, request, left))
        except TimeoutError:
            return StoreUnavailable(f"pod {NAMESPACE}/{pod}: no answer within {left:.2g} s")
        except MeshnetError as error:
            return error

    try:
        return dict(zip(pods, await asyncio.gather(*map(one, pods.values())), strict=True))
    finally:
        threads.close()


def _answer(query: str, ran: Ran) -> dict[str, Any]:
    """Return what a daemon answered. Raises ValueError that says why that is none."""
    if ran.code:
        said = ran.err.decode(errors="replace").strip().splitlines() or ["nothing"]
        raise ValueError(f"its pod says: {said[-1].removeprefix('error: ')}")
    try:
        found: Any = json.loads(ran.out)
    except (ValueError, RecursionError):
        raise ValueError(f"its answer is no JSON: {ran.out[:80]!r}") from None
    wrong = misshapen(query, found)
    if wrong:
        raise ValueError(wrong)
    answer: dict[str, Any] = found
    return answer
