"""The CNI execution protocol, from the runtime's side: a list of plugins, in order, with what the last one said."""

from __future__ import annotations

import contextlib
import json
import time
from typing import TYPE_CHECKING, Any

import attrs

from meshnet.errors import MeshnetError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from meshnet.lab.network import NetworkList
    from meshnet.lab.plugin_process import Answer, PluginProcess

    Result = dict[str, Any]

TRY_AGAIN = 11
"""CNI's error code of a plugin that may be able to do it later."""
AGAIN_S = 0.5


class PluginError(MeshnetError):
    """A plugin refused.

    Attributes:
        code: CNI's error code, as `TRY_AGAIN`.
    """

    def __init__(self, plugin: str, code: int, message: str, details: str = "") -> None:
        self.code = code
        super().__init__(f"plugin {plugin}: {message}" + (f": {details}" if details else "") + f" (code {code})")


@attrs.frozen
class Attachment:
    """One interface of one sandbox, as the protocol names it."""

    container_id: str
    netns: str
    interface: str
    arguments: str

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CNI_CONTAINERID": self.container_id,
            "CNI_NETNS": self.netns,
            "CNI_IFNAME": self.interface,
            "CNI_ARGS": self.arguments,
        }


class CniRuntime:
    """Attaches sandboxes of one node to one network; blocking, for any thread that is in the node's namespace.

    Args:
        network: the plugins.
        process: runs them.
        environment: what every plugin of this node gets besides the protocol's own.
        cache: directory for the results that DEL must be given again.
        again_s: how long after a plugin's `TRY_AGAIN` to try again.
    """

    def __init__(
        self,
        network: NetworkList,
        process: PluginProcess,
        environment: Mapping[str, str],
        cache: Path,
        again_s: float = AGAIN_S,
    ) -> None:
        self._network = network
        self._process = process
        self._environment = dict(environment)
        self._cache = cache
        self._again_s = again_s

    def add(self, attachment: Attachment, patient: Callable[[], bool] = lambda: False) -> Result:
        """Attach, and return the last plugin's result. After a failure what was made is deleted again.

        `patient` is asked after each `TRY_AGAIN` whether to try once more. Raises MeshnetError (PluginError when a
        plugin refuses), and OSError when there is no room for the result.
        """
        while True:
            try:
                return self._add(attachment)
            except PluginError as error:
                if error.code != TRY_AGAIN or not patient():
                    raise
            time.sleep(self._again_s)

    def _add(self, attachment: Attachment) -> Result:
        result: Result | None = None
        try:
            for plugin in self._network.plugins:
                result = self._call("ADD", plugin, attachment, result)
            assert result is not None
            self._cache.mkdir(parents=True, exist_ok=True)
            self._cached(attachment).write_text(json.dumps(result))
        except (MeshnetError, OSError):
            with contextlib.suppress(MeshnetError):
                self._delete(attachment, None)
            raise
        return result

    def delete(self, attachment: Attachment) -> None:
        """Detach; what is gone already is no error. Raises MeshnetError (PluginError when a plugin refuses)."""
        self._delete(attachment, self._result(attachment))
        self._cached(attachment).unlink(missing_ok=True)

    def _delete(self, attachment: Attachment, result: Result | None) -> None:
        for plugin in reversed(self._network.plugins):
            self._call("DEL", plugin, attachment, result)

    def _call(
        self, command: str, plugin: Mapping[str, Any], attachment: Attachment, previous: Result | None
    ) -> Result | None:
        kind = str(plugin["type"])
        config = {**plugin, "cniVersion": self._network.version, "name": self._network.name}
        if previous is not None:
            config["prevResult"] = previous
        env = {
            **self._environment,
            **attachment.environment,
            "CNI_COMMAND": command,
            "CNI_PATH": self._network.path,
        }
        answer = self._process.run(self._network.programs[kind], env, json.dumps(config).encode())
        if answer.code != 0:
            raise _refusal(kind, answer)
        return _result(kind, answer.output) if command == "ADD" else None

    def _cached(self, attachment: Attachment) -> Path:
        return self._cache / f"{self._network.name}-{attachment.container_id}-{attachment.interface}"

    def _result(self, attachment: Attachment) -> Result | None:
        try:
            result: Result = json.loads(self._cached(attachment).read_text())
        except (OSError, ValueError):
            return None
        return result


def _refusal(kind: str, answer: Answer) -> PluginError:
    try:
        error = json.loads(answer.output)
        return PluginError(kind, int(error["code"]), str(error["msg"]), str(error.get("details") or ""))
    except (ValueError, KeyError, TypeError):
        said = answer.output.decode(errors="replace").strip()[:500]
        return PluginError(kind, 999, f"exit code {answer.code}, and no CNI error in what it printed", said)


def _result(kind: str, output: bytes) -> Result:
    try:
        result = json.loads(output)
    except ValueError:
        result = None
    if not isinstance(result, dict):
        raise PluginError(kind, 6, "its result is not a JSON object", output.decode(errors="replace")[:500])
    return result
