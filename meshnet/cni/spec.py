"""The CNI specification, pure: what comes in, what goes out, and what is wrong with it."""

from __future__ import annotations

from meshnet.cni.arguments import Args
from meshnet.cni.config import NetworkConfig, declared_version
from meshnet.cni.error import CniError, Code, error_json
from meshnet.cni.request import Request, parse_request
from meshnet.cni.result import Address, Interface, compose_result
from meshnet.cni.versions import LATEST, SUPPORTED, version_result

__all__ = [
    "LATEST",
    "SUPPORTED",
    "Address",
    "Args",
    "CniError",
    "Code",
    "Interface",
    "NetworkConfig",
    "Request",
    "compose_result",
    "declared_version",
    "error_json",
    "parse_request",
    "version_result",
]
