"""Real distributions, made and installed for one test: a module and its dist-info on a path of its own."""

import sys
import textwrap
from importlib import metadata

import attrs
import pytest

DRIVER = """
from meshnet.driver import LinkDriver, Scope, hookimpl

class Wire(LinkDriver):
    api = 1
    name = {name!r}
    aliases = {aliases!r}
    scopes = Scope.SAME_NODE

    async def patch(self, link, peer):
        return peer.port

    {extra}

@hookimpl
def meshnet_register_drivers(register):
    register(Wire)
"""


@attrs.define
class Site:
    """A directory on sys.path that distributions are installed into."""

    path: object
    names: list = attrs.Factory(list)

    def install(self, name, source, *, version="1.0", value=None):
        """Install a distribution whose one module has this source."""
        module = name.replace("-", "_")
        (self.path / f"{module}.py").write_text(textwrap.dedent(source))
        info = self.path / f"{module}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[meshnet]\n{name}-point = {value or module}\n")
        self.names.append(name)

    def install_driver(self, name, *, driver, aliases=(), extra="pass", version="1.0"):
        """Install a distribution with one driver that is right but for what `extra` does to its class."""
        self.install(name, DRIVER.format(name=driver, aliases=aliases, extra=extra), version=version)

    def entry_points(self):
        """The entry points of what was installed here, and of nothing else on this machine."""
        found = metadata.entry_points(group="meshnet")
        return [point for point in found if point.dist.name in self.names]


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield Site(tmp_path)
    for module in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[module], "__file__", "")):
            del sys.modules[module]
