"""From the volumes of a pod that are ConfigMaps, and the mounts of its containers, to what the lab mounts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from meshnet.lab.expansion import expand
from meshnet.lab.podspec import Volume, VolumeMount

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from meshnet.lab.configmap import ConfigMap
    from meshnet.model.fields import Fields

_NO_FILE = re.compile("[\0\ud800-\udfff]")
"""What no file's name has: a zero byte, and half a surrogate pair, which is no text."""


def volume_of(name: str, source: Fields, config_map: ConfigMap | None) -> Volume:
    """Return the volume of a ConfigMap, empty where there is none; what is wrong is in the problems of `source`."""
    data = config_map.files if config_map else {}
    mode = source.number("defaultMode", 0o644, high=0o777)
    items = list(source.each("items")) if config_map else []
    return _of_items(name, items, data, mode, optional=source.flag("optional")) if items else Volume(name, data, mode)


def _of_items(name: str, items: Iterable[Fields], data: Mapping[str, bytes], mode: int, *, optional: bool) -> Volume:
    files, modes = {}, {}
    for item in items:
        key, path = item.text("key"), item.text("path")
        modes[path] = item.number("mode", mode, high=0o777)
        if key not in data:
            if not optional:
                item.wrong("key", f"must be a key of the ConfigMap: {', '.join(data) or 'it has none'}")
        elif not path or _leads_out(path) or _NO_FILE.search(path):
            item.wrong("path", "must be a relative path without '..', in characters that a file's name can have")
        else:
            files[path] = data[key]
    return Volume(name, files, mode, modes)


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
    if _leads_out(sub_path):
        entry.wrong(name, "must be a relative path without '..'")
    return sub_path


def _leads_out(path: str) -> bool:
    """Whether a path that is to be in a volume may be elsewhere."""
    return path.startswith("/") or ".." in path.split("/")
