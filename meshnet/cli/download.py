"""What stands behind a URL: all of it, or an error."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request

from meshnet.errors import MeshnetError, UsageError
from meshnet.model.documents import MAX_READ

SILENCE_S = 20.0
"""How long a server may say nothing."""
LIMIT_S = 120.0
"""How long it may take to say everything."""


def download(url: str) -> bytes:
    """Return what an http(s) URL gives, but no more than what a text may have and a byte.

    Raises UsageError when it is no URL, and MeshnetError when it does not give all that it promised.
    """
    deadline = time.monotonic() + LIMIT_S
    try:
        with _opener().open(url, timeout=SILENCE_S) as answer:
            return _read(answer, url, deadline)
    except urllib.error.HTTPError as error:
        error.close()  # it is the answer, too
        raise MeshnetError(f"{url}: {error}") from error
    except OSError as error:
        reason = getattr(error, "reason", None)  # of a URLError the OSError behind it
        raise MeshnetError(f"{url}: {getattr(reason, 'strerror', None) or error}") from error
    except (http.client.InvalidURL, ValueError) as error:
        raise UsageError(f"{url}: no URL: {error}") from error
    except http.client.HTTPException as error:
        raise MeshnetError(f"{url}: no answer in HTTP: {error!r}") from error


def _opener() -> urllib.request.OpenerDirector:
    """Return what opens URLs of http and https alone; usually a server may send us to FTP as well."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _read(answer: http.client.HTTPResponse, url: str, deadline: float) -> bytes:
    data = bytearray()
    while len(data) < MAX_READ:
        part = answer.read1(MAX_READ - len(data))
        data += part
        if not part:
            # a connection that ends early is an end like any other to `read1`
            if answer.length:
                raise MeshnetError(f"{url}: cut off after {len(data)} bytes: {answer.length} are missing")
            break
        if time.monotonic() > deadline:
            raise MeshnetError(f"{url}: not all of it came within {LIMIT_S:g} s")
    return bytes(data)
