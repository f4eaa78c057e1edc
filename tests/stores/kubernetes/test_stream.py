from __future__ import annotations

from meshnet.stores.kubernetes.stream import lines


def test_lines_are_put_together_from_chunks() -> None:
    chunks = [b'{"a"', b":1}\n{", b'"b":2}\n{"c":3}\n\n', b"", b'{"cut of']
    assert list(lines(iter(chunks))) == [b'{"a":1}', b'{"b":2}', b'{"c":3}']
