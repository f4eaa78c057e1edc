"""From the `spec` of a Pod, or of a workload's template, to a `PodSpec`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import attrs

from meshnet.lab.expansion import expand
from meshnet.lab.podspec import NODE, Container, PodSpec, Volume
from meshnet.lab.podvolumes import read_mount, volume_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from meshnet.lab.configmap import ConfigMap
    from meshnet.lab.podspec import VolumeMount
    from meshnet.model.fields import Fields
    from meshnet.model.resource import ObjectKey

    ConfigMaps = Mapping[ObjectKey, ConfigMap]
    Volumes = Mapping[str, Volume | None]
    """By name; None is one that a lab has not."""

HOSTNAME_LABEL = "kubernetes.io/hostname"
_LONGEST_HOSTNAME = 63
_IDS = ("runAsUser", "runAsGroup")
_LARGEST_ID = (1 << 31) - 1
_INIT = re.compile(r"(/(usr/)?(s?bin|lib/systemd)/)?(init|systemd)")
"""What boots a machine: that of this one is all that a lab has."""
_VARIABLE = re.compile(r"[ -<>-~]+")
_VARIABLE_RIGHT = "must be one or more printable ASCII characters other than '='"


@attrs.frozen
class PodReader:
    """Reads one pod.

    Attributes:
        namespace, name: of the pod.
        spec: its own, or that of the template that it is made of.
        config_maps: by (namespace, name).
        tell: told what is in the manifest but has no meaning here, and of which pod.
    """

    namespace: str
    name: str
    spec: Fields
    config_maps: ConfigMaps
    tell: Callable[[str, str], None]

    def read(self) -> PodSpec:
        """Return the pod; what is wrong is in the problems of its `spec`."""
        spec = self.spec
        if spec.items("initContainers"):
            self._note("init containers are not run: interfaces exist from the start")
        if spec.flag("hostNetwork"):
            self._note("hostNetwork: has no meaning here; on a cluster the pod would have no links")
        restart = spec.text("restartPolicy", "") or "Always"
        if restart not in {"Always", "OnFailure", "Never"}:
            spec.wrong("restartPolicy", "must be Always, OnFailure or Never")
        entries = _distinct(spec.each("volumes"), "name", "volume of the pod")
        volumes = {str(entry.value.get("name")): self._volume(entry) for entry in entries}
        return PodSpec(
            namespace=self.namespace,
            name=self.name,
            hostname=(spec.dns_label("hostname") if spec.text("hostname", "") else self.name)[:_LONGEST_HOSTNAME],
            node=self._node(),
            containers=tuple(self._containers(volumes)),
            volumes=tuple(volume for volume in volumes.values() if volume is not None),
            restart=restart,
            grace_s=float(spec.number("terminationGracePeriodSeconds", 30, high=86400)),
        )

    def _note(self, note: str) -> None:
        self.tell(note, f"{self.namespace}/{self.name}")

    def _node(self) -> str | None:
        selector = self.spec.inner("nodeSelector")
        return self.spec.text("nodeName", "") or selector.text(HOSTNAME_LABEL, "") or None

    def _containers(self, volumes: Volumes) -> Iterator[Container]:
        of_pod = _run_as(self.spec, {})
        for entry in _distinct(self.spec.each("containers"), "name", "container of the pod"):
            container = self._container(entry, volumes)
            ids = ", ".join(f"{name} {number}" for name, number in _run_as(entry, of_pod).items() if number)
            if ids and container.argv:
                self._note(f"container {container.name!r} has {ids}: it runs as root here")
            yield container

    def _container(self, entry: Fields, volumes: Volumes) -> Container:
        name = entry.dns_label("name")
        env: dict[str, str] = {}
        for source in entry.each("envFrom"):
            self._env_from(source, env)
        for variable in entry.each("env"):
            key = _variable(variable)
            value = self._value(variable, env)
            if value is not None:
                env[key] = value
        return Container(
            name=name,
            argv=self._argv(name, entry, env),
            env=env,
            directory=entry.text("workingDir", ""),
            mounts=tuple(self._mounts(name, entry, volumes, env)),
        )

    def _mounts(self, container: str, entry: Fields, volumes: Volumes, env: Mapping[str, str]) -> Iterator[VolumeMount]:
        for mount in _distinct(entry.each("volumeMounts"), "mountPath", "mount of the container"):
            name = mount.text("name")
            if volumes.get(name) is not None:
                yield read_mount(mount, env)
            elif name not in volumes:
                self._note(f"container {container!r} mounts {name!r}, which is none of its pod's volumes: skipped")

    def _argv(self, container: str, entry: Fields, env: Mapping[str, str]) -> tuple[str, ...]:
        """What a container runs; nothing where that is of its image."""
        command, arguments = entry.texts("command"), entry.texts("args")
        if arguments and not command:
            self._note(f"container {container!r} has args for its image's own command: not started")
            return ()
        argv = tuple(expand(word, env) for word in (*command, *arguments))
        if argv and _INIT.fullmatch(argv[0]):
            boots = f"boots its image by {argv[0]}, which would boot this machine's system"
            self._note(f"container {container!r} {boots}: not started")
            return ()
        return argv

    def _env_from(self, source: Fields, env: dict[str, str]) -> None:
        if source.has("secretRef"):
            self._note("variables come from what a lab has not (secretRef): unset")
        reference = source.inner("configMapRef")
        found = self._config_map(reference) if reference.value else None
        prefix = source.text("prefix", "")
        if prefix and not _VARIABLE.fullmatch(prefix):
            source.wrong("prefix", _VARIABLE_RIGHT)
        for key, value in (found.texts if found else {}).items():
            env[prefix + key] = value

    def _value(self, variable: Fields, env: Mapping[str, str]) -> str | None:
        if not variable.has("valueFrom"):
            return expand(variable.text("value", ""), env)
        source = variable.inner("valueFrom")
        if source.has("configMapKeyRef"):
            return self._key(source.inner("configMapKeyRef"))
        known = {"metadata.name": self.name, "metadata.namespace": self.namespace, "spec.nodeName": NODE}
        path = source.inner("fieldRef").text("fieldPath") if source.has("fieldRef") else ""
        if path == "spec.serviceAccountName":
            # Kubernetes still takes the field's former name.
            return self.spec.text("serviceAccountName", "") or self.spec.text("serviceAccount", "") or "default"
        if path not in known:
            told = f"variable {variable.value.get('name')!r} comes from what a lab has not"
            self._note(f"{told} ({path or ', '.join(source.value)}): unset")
        return known.get(path)

    def _key(self, reference: Fields) -> str | None:
        """The value of a key of a ConfigMap."""
        found = self._config_map(reference)
        key = reference.text("key")
        if found and key not in found.texts and not reference.flag("optional"):
            known = ", ".join(found.texts) or "it has none"
            reference.wrong("key", f"must be a key of the ConfigMap's data: {known}")
        return found.texts.get(key) if found else None

    def _volume(self, entry: Fields) -> Volume | None:
        name = entry.dns_label("name")
        kinds = [key for key in entry.value if key != "name" and entry.has(key)]
        if not kinds or "emptyDir" in kinds:
            return Volume(name, None)
        if "configMap" not in kinds:
            self._note(f"volume {name!r} ({', '.join(kinds)}): a lab mounts configMap and emptyDir: skipped")
            return None
        source = entry.inner("configMap")
        return volume_of(name, source, self._config_map(source))

    def _config_map(self, reference: Fields) -> ConfigMap | None:
        name = reference.text("name")
        found = self.config_maps.get((self.namespace, name))
        if found is None and not reference.flag("optional"):
            reference.wrong("name", f"no ConfigMap {self.namespace}/{name} in these files")
        return found


def _distinct(entries: Iterable[Fields], name: str, what: str) -> Iterator[Fields]:
    """Yield the entries; a text in field `name` that an earlier one has there is wrong."""
    seen: set[str] = set()
    for entry in entries:
        text = str(entry.value.get(name))
        if entry.has(name) and text in seen:
            entry.wrong(name, f"must be one that no other {what} has")
        seen.add(text)
        yield entry


def _run_as(fields: Fields, otherwise: Mapping[str, int]) -> dict[str, int]:
    """Return the user and group that a pod or container asks for."""
    context = fields.inner("securityContext")
    return {name: context.number(name, otherwise.get(name, 0), high=_LARGEST_ID) for name in _IDS}


def _variable(entry: Fields) -> str:
    """Return the name of an environment variable."""
    name = entry.text("name")
    if entry.value.get("name") == name and not _VARIABLE.fullmatch(name):
        entry.wrong("name", _VARIABLE_RIGHT)
    return name
