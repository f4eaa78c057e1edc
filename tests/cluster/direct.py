"""The API by plain requests: hundreds a second, and every word of an answer, which kubectl has not."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import urllib.parse
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

LIMIT_S = 60.0


class Answer(NamedTuple):
    """What the server said."""

    status: int
    document: dict[str, Any]

    @property
    def fields(self) -> list[str]:
        """The fields that a refused object is refused for."""
        causes = (self.document.get("details") or {}).get("causes") or []
        return [cause["field"] for cause in causes if cause.get("field") not in (None, "<nil>", "")]

    @property
    def message(self) -> str:
        return str(self.document.get("message", ""))


class Direct:
    """A connection to an API server as the user of a kubeconfig, used by one thread.

    Args:
        kubeconfig: JSON, with a certificate or a token in it.
        scratch: an empty directory; TLS reads certificates from files alone.
    """

    def __init__(self, kubeconfig: Path, scratch: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        if "client-certificate-data" in user:
            pair = scratch / "client.pem"
            pair.touch(mode=0o600)
            pair.write_text(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
            context.load_cert_chain(pair)
        self._headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        where = urllib.parse.urlsplit(cluster["server"])
        self._connection = http.client.HTTPSConnection(
            where.hostname or "", where.port, context=context, timeout=LIMIT_S
        )

    def close(self) -> None:
        self._connection.close()

    def ask(self, method: str, path: str, document: Any = None, content_type: str = "application/json") -> Answer:
        """Send one request and return its answer."""
        body = None if document is None else json.dumps(document)
        self._connection.request(method, path, body, {**self._headers, "Content-Type": content_type})
        answer = self._connection.getresponse()
        return Answer(answer.status, json.loads(answer.read()))


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()
