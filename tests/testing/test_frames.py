"""The corpus of frames. Sockets are proven on the real kernel, by the tests of what carries them."""

from __future__ import annotations

from meshnet.testing.frames import CORPUS


def test_every_frame_is_its_own() -> None:
    assert len(CORPUS) == 22
    assert len({frame.name for frame in CORPUS}) == len({frame.data for frame in CORPUS}) == 22


def test_frames_are_as_long_as_their_names_say() -> None:
    lengths = {frame.name: len(frame.data) for frame in CORPUS}

    assert lengths["runt"] == 14
    assert (lengths["full"], lengths["802.1Q full"], lengths["QinQ full"]) == (1514, 1518, 1522)
    assert min(length for name, length in lengths.items() if name != "runt") == 60


def test_llc_frames_tell_their_true_length() -> None:
    for frame in CORPUS:
        length = int.from_bytes(frame.data[12:14], "big")
        if length <= 1500:
            assert len(frame.data) >= 14 + length
