"""From the volumes of a pod that are ConfigMaps, and the mounts of its containers, to what the lab mounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshnet.lab.expansion import expand
from meshnet.lab.podspec import Volume, VolumeMount

if TYPE_CHECKING:
    from collections.abc import Mapping

    from meshnet.lab.configmap import ConfigMap
    from meshnet.model.fields import Fields

_NO_FILE = re.compile("[\0\ud800-\udfff]")
"""What no file's name has: a zero byte, and half a surrogate pair, which is no text."""


def volume_of(name: str, source: Fields, config_map: ConfigMap | None) -> Volume:
    """Return the volume of a ConfigMap, empty where there is none; what is wrong is in the problems of `source`."""
    files = config_map.files if config_map else {}
    mode = source.number("defaultMode", 0o644, high=0o777)
    if not (config_map and source.items("items")):
        return Volume(name, files, mode)
    return Volume(name, _items(source, files), mode, _modes(source, mode))


def read_mount(entry: Fields, env: Mapping[str, str]) -> VolumeMount:
    """Return a mount of a container with these variables; what is wrong is in the problems of `entry`."""
    path = entry.text("mountPath")
    if not path.startswith("/") or ".." in path.split("/") or path.strip("/") == "":
        entry.wrong("mountPath", "must be an absolute path without '..', other than /")
    return VolumeMount(entry.text("name"), path, _sub_path(entry, env), entry.flag("readOnly"))


def _sub_path(entry: Fields, env: Mapping[str, str]) -> str:
    if entry.has("subPathExpr"):
        name, sub_path = "subPathExpr", expand(entry.text("subPathExpr"), env)
    else:
        name, sub_path = "subPath", entry.text("subPath", "")
    if sub_path.startswith("/") or ".." in sub_path.split("/"):
        entry.wrong(name, "must be a relative path without '..'")
    return sub_path


def _items(source: Fields, data: Mapping[str, bytes]) -> dict[str, bytes]:
    files = {}
    for item in source.each("items"):
        key, path = item.text("key"), item.text("path")
        if key not in data:
            if not source.flag("optional"):
                item.wrong("key", f"must be a key of the ConfigMap: {', '.join(data) or 'it has none'}")
        elif not path or path.startswith("/") or ".." in path.split("/") or _NO_FILE.search(path):
            item.wrong("path", "must be a relative path without '..', in characters that a file's name can have")
        else:
            files[path] = data[key]
    return files


def _modes(source: Fields, otherwise: int) -> dict[str, int]:
    return {str(item.value.get("path")): item.number("mode", otherwise, high=0o777) for item in source.each("items")}
