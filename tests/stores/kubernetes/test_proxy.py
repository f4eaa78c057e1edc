from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import urllib3

from meshnet.errors import StoreUnavailable
from meshnet.stores.kubernetes.access import Access

if TYPE_CHECKING:
    from pathlib import Path

HTTPS = "https://10.0.0.1:6443"
PROXY = {"HTTPS_PROXY": "http://p:3128", "HTTP_PROXY": "http://q:80"}


def manager(directory: Path, server: str, environ: dict[str, str], **cluster: str) -> Any:
    """Return the client's connections to a server."""
    config: dict[str, Any] = {
        "contexts": [{"name": "x", "context": {"cluster": "c"}}],
        "clusters": [{"name": "c", "cluster": {"server": server, **cluster}}],
        "current-context": "x",
    }
    file = directory / "config"
    file.write_text(json.dumps(config))
    configuration, connections = Access(str(file), environ=environ).configuration()
    return connections(configuration).pool_manager


@pytest.mark.parametrize(
    ("server", "environ", "expected"),
    [
        (HTTPS, {}, None),
        (HTTPS, PROXY, "http://p:3128"),
        (HTTPS, {"https_proxy": "p:3128"}, "http://p:3128"),
        (HTTPS, {"HTTP_PROXY": "http://q:80"}, None),
        ("http://10.0.0.1:8080", PROXY, "http://q:80"),
        (HTTPS, PROXY | {"NO_PROXY": "example.org,10.0.0.0/8"}, None),
        (HTTPS, PROXY | {"no_proxy": "10.0.0.1"}, None),
        (HTTPS, PROXY | {"NO_PROXY": "10.1.0.0/16"}, "http://p:3128"),
        ("https://api.example.org", PROXY | {"NO_PROXY": "example.org"}, None),
        ("https://api.example.org", PROXY | {"NO_PROXY": "*.example.org"}, None),
        ("https://badexample.org", PROXY | {"NO_PROXY": "example.org"}, "http://p:3128"),
        ("https://[fd00::1]:6443", PROXY | {"NO_PROXY": "10.0.0.0/8, fd00::/8"}, None),
        ("https://[fd00::1]:6443", PROXY | {"NO_PROXY": "[fd00::1]:6443"}, None),
        ("https://[fd00::1]:6443", PROXY | {"NO_PROXY": "[fd00::1]"}, None),
        ("https://[fd00::1]:6443", PROXY | {"NO_PROXY": "fe80::/10,::1"}, "http://p:3128"),
        (HTTPS, PROXY | {"NO_PROXY": "10.0.0.1:443, 10.0.0.1:x"}, "http://p:3128"),
        ("https://10.0.0.1", PROXY | {"NO_PROXY": "10.0.0.1:443"}, None),
        (HTTPS, PROXY | {"NO_PROXY": " * "}, None),
        ("https://127.0.0.1:6443", PROXY, None),
        ("https://localhost:6443", PROXY, None),
        ("https://[::1]:6443", PROXY, None),
    ],
)
def test_the_environment_says_as_to_kubectl(
    server: str, environ: dict[str, str], expected: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in PROXY:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in environ.items():  # where the client looks by itself
        monkeypatch.setenv(name, value)
    proxy = manager(tmp_path, server, environ).proxy
    assert (None if proxy is None else proxy.url) == expected


def test_a_clusters_own_proxy_goes_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "10.0.0.1")  # where the client looks by itself
    environ = PROXY | {"NO_PROXY": "10.0.0.1"}
    assert manager(tmp_path, HTTPS, environ, **{"proxy-url": "http://own:8080"}).proxy.url == "http://own:8080"


def test_a_proxy_is_told_who_asks(tmp_path: Path) -> None:
    found = manager(tmp_path, HTTPS, {"HTTPS_PROXY": "http://me:p%40ss@p:3128"})
    assert found.proxy_headers == urllib3.make_headers(proxy_basic_auth="me:p@ss")


def test_a_proxy_that_is_no_url_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"/config: the proxy before https://10.0.0.1:6443: Invalid IPv6 URL"):
        manager(tmp_path, HTTPS, {"HTTPS_PROXY": "http://me:secret@[::"})
