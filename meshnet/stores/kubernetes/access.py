"""How to reach an API server, and as whom: a pod's service account, or a kubeconfig."""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from meshnet.errors import StoreUnavailable, UsageError
from meshnet.presence import is_file
from meshnet.stores.kubernetes.client_modules import client_modules
from meshnet.stores.kubernetes.overheard import overheard
from meshnet.stores.kubernetes.proxy import set_proxy

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its service account."""

DEFAULT_KUBECONFIG = "~/.kube/config"
OPTIONS = ("context", "kubeconfig")


def at_home(file: str) -> Path:
    """A path as a user writes it, with ``~`` for the home directory; where none is known, ``~`` stays."""
    return Path(os.path.expanduser(file))


@attrs.frozen
class Access:
    """What was said of the API server.

    Attributes:
        kubeconfig: files as in the variable KUBECONFIG, ``""`` for the usual place.
        context: of the kubeconfig, ``""`` for its current one.
        environ: of the process.
        account: directory of the pod's service account: ``token``, ``ca.crt``.
    """

    kubeconfig: str = ""
    context: str = ""
    environ: Mapping[str, str] = attrs.field(factory=lambda: os.environ, repr=False)
    account: Path = ACCOUNT

    @classmethod
    def read(cls, spec: str, query: str) -> Access:
        """Return what the part of a store's name after its ``?`` says. Raises UsageError."""
        given = dict(urllib.parse.parse_qsl(query, keep_blank_values=True))
        for name, value in given.items():
            if name not in OPTIONS or not value:
                raise UsageError(f"store {spec!r}: {name}={value}: the options are context=NAME and kubeconfig=PATH")
        return cls(given.get("kubeconfig", ""), given.get("context", ""))

    @property
    def token_file(self) -> Path | None:
        """The token of the pod's service account; None when a kubeconfig is meant.

        What is said goes before where the process runs, and that before what lies in a home directory.
        """
        said = self.kubeconfig or self.context or self.environ.get("KUBECONFIG")
        if said or not self.environ.get("KUBERNETES_SERVICE_HOST"):
            return None
        return self.account / "token"

    def configuration(self) -> tuple[Any, Any]:
        """Return the client's configuration, and its class of connections to go with it. Raises StoreUnavailable."""
        if self.token_file is not None:
            return self._in_cluster(self.token_file)
        return self._by_kubeconfig()

    def _in_cluster(self, token_file: Path) -> tuple[Any, Any]:
        configuration, incluster, rest, exceptions = client_modules(
            "client.configuration", "config.incluster_config", "client.rest", "config.config_exception"
        )
        made = configuration.Configuration()
        authority = self.account / "ca.crt"
        try:
            # Tokens are read by us: kubelet puts a new one there every hour, and this reads it a minute late.
            loader = incluster.InClusterConfigLoader(str(token_file), str(authority), False, self.environ)
            loader.load_and_set(made)
        except (exceptions.ConfigException, OSError) as error:
            raise StoreUnavailable(
                f"service account in {self.account}: {error}: the pod needs one (automountServiceAccountToken), "
                "or name a kubeconfig: kubernetes:?kubeconfig=PATH"
            ) from error
        set_proxy(made, "", self.environ)
        return made, rest.RESTClientObject

    def _by_kubeconfig(self) -> tuple[Any, Any]:
        files = self.kubeconfig or self.environ.get("KUBECONFIG") or DEFAULT_KUBECONFIG
        what = f"kubeconfig {files}" + (f", context {self.context!r}" if self.context else "")
        try:
            present = [file for file in files.split(os.pathsep) if is_file(at_home(file))]
        except OSError as error:
            raise StoreUnavailable(f"{what}: {error.strerror}") from error
        if not present:
            raise StoreUnavailable(
                f"{what}: no such file: set KUBECONFIG, or name one: kubernetes:?kubeconfig=PATH; "
                "in a pod its service account is used, where KUBERNETES_SERVICE_HOST is set"
            )
        configuration, kube_config, rest, exceptions = client_modules(
            "client.configuration", "config.kube_config", "client.rest", "config.config_exception"
        )
        made = configuration.Configuration()
        try:
            merged = kube_config.KubeConfigMerger(os.pathsep.join(present)).config
            loader = kube_config.KubeConfigLoader(merged, self.context or None, config_base_path=None)
            with overheard() as told:
                loader.load_and_set(made)
            context = loader.current_context["context"]
            _check_signed_in(made, merged, context.get("user"), told)
            cluster = merged["clusters"].get_with_name(context["cluster"])["cluster"]
            set_proxy(made, str(cluster.safe_get("proxy-url") or ""), self.environ)
        except Exception as error:  # the package raises whatever a broken file makes it stumble over
            if isinstance(error, (exceptions.ConfigException, StoreUnavailable)):
                raise StoreUnavailable(f"{what}: {error}") from error
            raise StoreUnavailable(f"{what}: cannot be understood: {type(error).__name__}: {error}") from error
        return made, rest.RESTClientObject


def _check_signed_in(configuration: Any, merged: Any, name: str | None, told: Sequence[str]) -> None:
    """Raise StoreUnavailable when the program that a user signs in with has failed.

    The client tells its log why, and asks the server as nobody, who may do nothing.
    """
    if configuration.api_key or configuration.cert_file or not (name and merged.safe_get("users")):
        return
    user = merged["users"].get_with_name(name, safe=True)
    plugin = user["user"].safe_get("exec") if user else None
    if plugin:
        why = f"gave no token and no certificate: {'; '.join(told)}"
        raise StoreUnavailable(f"{plugin['command']}, which signs in, {why}")


def credentials(configuration: Any) -> dict[str, str]:
    """Return the headers that say who asks, by the client's configuration of a kubeconfig.

    To be asked for each request: the configuration runs what signs in, and renews what expires. The end of the line in
    a token's file is no part of it, as for kubectl. Raises StoreUnavailable when signing in again fails, and,
    without showing it, for a token that no header can hold.
    """
    with overheard() as told:
        settings = configuration.auth_settings().values()
    if told:
        raise StoreUnavailable(f"{configuration.host}: signing in again: {'; '.join(told)}")
    headers = {setting["key"]: str(setting["value"]).strip() for setting in settings if setting["in"] == "header"}
    if not all(value.isascii() and value.isprintable() for value in headers.values()):
        raise StoreUnavailable(f"{configuration.host}: the token that the kubeconfig gives must be one line of ASCII")
    return headers
