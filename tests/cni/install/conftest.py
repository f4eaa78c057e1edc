import json
from pathlib import Path

import pytest

from meshnet.cni.install.names import Places

GOLDEN = Path(__file__).parent / "golden"


@pytest.fixture
def places(tmp_path):
    """The two directories of a node: with flannel's list, as a node's are before meshnet."""
    found = Places(tmp_path / "bin", tmp_path / "net.d")
    found.bin_dir.mkdir()
    found.conf_dir.mkdir()
    write(found.conf_dir / "10-flannel.conflist", flannel())
    return found


def flannel(**more):
    return {"name": "cbr0", "cniVersion": "0.3.1", "plugins": [{"type": "flannel"}, {"type": "portmap"}], **more}


def write(path, document):
    path.write_text(document if isinstance(document, str) else json.dumps(document))


def types(path):
    """The plugins that a list calls, in order."""
    return [plugin["type"] for plugin in json.loads(path.read_text())["plugins"]]
