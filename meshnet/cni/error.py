"""CNI errors: the specification's codes, and what a runtime reads."""

from __future__ import annotations

import json
from enum import IntEnum

from meshnet.cni.frame import encode_reply
from meshnet.cni.versions import LATEST
from meshnet.errors import MeshnetError


class Code(IntEnum):
    """Error codes of the CNI specification; 8 and 999 are libcni's."""

    INCOMPATIBLE_VERSION = 1
    UNSUPPORTED_FIELD = 2
    UNKNOWN_CONTAINER = 3
    INVALID_ENVIRONMENT = 4
    IO_FAILURE = 5
    DECODING_FAILURE = 6
    INVALID_NETWORK_CONFIG = 7
    INVALID_NETNS = 8
    TRY_AGAIN_LATER = 11
    PLUGIN_NOT_AVAILABLE = 50
    LIMITED_CONNECTIVITY = 51
    INTERNAL = 999


class CniError(MeshnetError):
    """What a CNI call answers instead of a result.

    Attributes:
        code: tells the runtime what to do; see `Code`.
        msg: one line: what is wrong, and what would be right.
    """

    def __init__(self, code: int, msg: str) -> None:
        self.code = int(code)
        self.msg = msg
        super().__init__(msg)


def refusal(code: int, msg: str, version: str = LATEST) -> bytes:
    """The reply to a call that is refused: the specification's error object, in a `version` that we speak."""
    return encode_reply(1, json.dumps({"cniVersion": version, "code": int(code), "msg": msg}))
