"""Commands in pods, as `kubectl exec` runs them: a WebSocket to the API server, whose messages name their stream."""

from __future__ import annotations

import json
import ssl
import time
import urllib.parse
from typing import TYPE_CHECKING, Any

import attrs
import websocket

from meshnet import __version__
from meshnet.errors import StoreUnavailable
from meshnet.stores.kubernetes.access import credentials
from meshnet.stores.kubernetes.door import Answer
from meshnet.stores.kubernetes.errors import refusal
from meshnet.stores.kubernetes.proxy import who_asks
from meshnet.stores.kubernetes.request import Request, path_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROTOCOL = "v4.channel.k8s.io"
STDOUT, STDERR, STATUS = 1, 2, 3
"""What a message of this protocol is about: its first byte."""

LARGEST = 256 << 20
"""Bytes of output; a thousand links are about one megabyte."""


@attrs.frozen
class Ran:
    """How a command ended.

    Attributes:
        code: its exit code.
    """

    code: int
    out: bytes
    err: bytes


def exec_request(namespace: str, pod: str, container: str, command: Sequence[str]) -> Request:
    """Return the request that runs a command in a pod."""
    query = [("container", container), ("stdout", "true"), ("stderr", "true"), *(("command", word) for word in command)]
    path = f"{path_of('/api/v1', namespace, 'pods', pod, 'exec')}?{urllib.parse.urlencode(query)}"
    # Servers from 1.35 on ask for `create` as well; its own words name the verb that is missing.
    return Request("get", "pods/exec", f"Pod {namespace}/{pod}", path, pod, repeatable=False)


def run_in_pod(configuration: Any, request: Request, limit_s: float) -> Ran:
    """Run a command and wait for its end; `configuration` is the client's.

    Raises StoreUnavailable when it cannot be run, or has not ended within `limit_s` seconds, and NotFound for a pod
    that is not there.
    """
    deadline = time.monotonic() + limit_s
    server = str(configuration.host).rstrip("/")
    try:
        socket = _open(configuration, server + request.path, limit_s)
    except websocket.WebSocketBadStatusException as error:
        raise refusal(request, Answer(error.status_code, error.resp_body or b""), server) from error
    except (websocket.WebSocketTimeoutException, TimeoutError):
        raise _late(request, limit_s) from None
    except (websocket.WebSocketException, OSError) as error:
        raise StoreUnavailable(
            f"{request.what}: {request.resource} at the API server {server}: {_why(error)}"
        ) from error
    try:
        return _outcome(request, _streams(socket, deadline))
    except (websocket.WebSocketTimeoutException, TimeoutError):
        raise _late(request, limit_s) from None
    except (websocket.WebSocketException, OSError) as error:
        raise StoreUnavailable(f"{request.what}: the connection broke: {_why(error)}") from error
    finally:
        socket.shutdown()


def _open(configuration: Any, url: str, limit_s: float) -> Any:
    headers = {"User-Agent": f"meshnet/{__version__}", **credentials(configuration)}
    options: dict[str, Any] = {"context": _tls(configuration)}
    if configuration.tls_server_name:
        options["server_hostname"] = configuration.tls_server_name
    socket: Any = websocket.WebSocket(sslopt=options, skip_utf8_validation=True)
    socket.connect(
        "ws" + url.removeprefix("http"),
        timeout=limit_s,
        header=headers,
        subprotocols=[PROTOCOL],
        redirect_limit=0,
        **_proxy(configuration),
    )
    return socket


def _tls(configuration: Any) -> ssl.SSLContext:
    """Return what is trusted, and who asks, as the client has it."""
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert or None)
    if hasattr(ssl, "VERIFY_X509_STRICT"):  # on from Python 3.13 on; certificates of many clusters are older
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file or None)
    return context


def _proxy(configuration: Any) -> Mapping[str, Any]:
    """Return by which proxy, if any, as the client has it, and nothing that has the environment asked anew."""
    proxy = urllib.parse.urlsplit(configuration.proxy or "")
    found: dict[str, Any] = {"http_proxy_host": proxy.hostname or "-", "http_proxy_port": proxy.port or 80}
    found["http_no_proxy"] = ["-" if configuration.proxy else "*"]
    return found | ({"http_proxy_auth": who} if (who := who_asks(configuration.proxy or "")) else {})


def _streams(socket: Any, deadline: float) -> Mapping[int, bytes]:
    """Return all that came on each stream until the server hung up."""
    streams = {STDOUT: bytearray(), STDERR: bytearray(), STATUS: bytearray()}
    size = 0
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        socket.settimeout(left)
        try:
            code, data = socket.recv_data()
        except websocket.WebSocketConnectionClosedException:
            break  # whether it was the end, the status tells
        if code == websocket.ABNF.OPCODE_CLOSE:
            break
        size += len(data)
        if size > LARGEST:
            raise OSError(f"more than {LARGEST} bytes")
        if data and data[0] in streams:
            streams[data[0]] += data[1:]
    return {stream: bytes(data) for stream, data in streams.items()}


def _outcome(request: Request, streams: Mapping[int, bytes]) -> Ran:
    """Read the API's Status, the last that is said of a command. Raises StoreUnavailable when it never ran."""
    try:
        status = json.loads(streams[STATUS])
    except ValueError:
        raise StoreUnavailable(f"{request.what}: {request.resource}: ended without telling how") from None
    if status.get("status") == "Success":
        return Ran(0, streams[STDOUT], streams[STDERR])
    causes = (status.get("details") or {}).get("causes") or ()
    code = next((cause.get("message", "") for cause in causes if cause.get("reason") == "ExitCode"), "")
    if not code.isdecimal():
        raise StoreUnavailable(f"{request.what}: {request.resource}: {status.get('message') or 'failed'}")
    return Ran(int(code), streams[STDOUT], streams[STDERR])


def _late(request: Request, limit_s: float) -> StoreUnavailable:
    return StoreUnavailable(f"{request.what}: {request.resource}: no answer within {limit_s:.3g} s")


def _why(error: Exception) -> str:
    return error.strerror.lower() if isinstance(error, OSError) and error.strerror else str(error)
