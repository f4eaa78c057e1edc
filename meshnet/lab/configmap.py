"""What a ConfigMap holds: texts, which are files and variables, and bytes, which are files alone."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from meshnet.model.fields import Fields

_KEY = re.compile(r"(?!\.\.|\.$)[-._a-zA-Z0-9]{1,253}")


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
    data, binary = document.inner("data"), document.inner("binaryData")
    texts = {key: data.text(key) for key in _keys(data)}
    files = {key: _encoded(data, key, text) for key, text in texts.items()}
    files |= {key: _decoded(binary, key) for key in _keys(binary)}
    return ConfigMap(texts, files)


def _keys(fields: Fields) -> Iterator[str]:
    for key in fields.value:
        if _KEY.fullmatch(key):
            yield key
        else:
            fields.wrong(key, "its key must be 1 to 253 of a-z, A-Z, 0-9, '-', '_', '.'; not '.', nor begin with '..'")


def _encoded(data: Fields, key: str, text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        data.wrong(key, "must be text: half a surrogate pair is none")
        return b""


def _decoded(binary: Fields, key: str) -> bytes:
    text = binary.text(key)
    try:
        return base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        binary.wrong(key, "must be base64")
        return b""
