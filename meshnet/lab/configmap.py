"""What a ConfigMap holds: texts, which are files and variables, and bytes, which are files alone."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.model.fields import Fields


@attrs.frozen
class ConfigMap:
    """The content of a ConfigMap.

    Attributes:
        texts: its `data`, all that variables can come from.
        files: what a volume of it has, from `data` and `binaryData`.
    """

    texts: Mapping[str, str]
    files: Mapping[str, bytes]


def read_config_map(document: Fields) -> ConfigMap:
    """Return what a ConfigMap holds; what is wrong is in the problems of `document`."""
    data = document.inner("data")
    texts = {str(key): data.text(key) for key in data.value}
    files = {key: text.encode() for key, text in texts.items()}
    binary = document.inner("binaryData")
    for key in binary.value:
        try:
            files[str(key)] = base64.b64decode(binary.text(key), validate=True)
        except (binascii.Error, ValueError):
            binary.wrong(key, "must be base64")
    for key in files:
        if "/" in key or key in {".", ".."}:
            document.wrong("data", f"key {key!r} must be a file name")
    return ConfigMap(texts, files)
