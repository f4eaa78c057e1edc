"""How long frames may be: what a kernel takes, what both ends agree on."""

import pytest
from meshnet_grpcwire.batch import HEAD_BYTES, LARGEST_BATCH, LENGTH_BYTES
from meshnet_grpcwire.segment import OFFER, Limits, agreed, largest_here, longest_frame
from meshnet_grpcwire.virtio import HEADER, LONGEST_FRAME, LONGEST_WHOLE, TAG_BYTES

from meshnet.driver import GSO_IPV4_LARGEST as LARGEST
from meshnet.driver import GSO_LEGACY_MAX_SIZE


@pytest.mark.parametrize(
    ("release", "size"),
    [
        ("6.6.0", LARGEST),
        ("6.18.44-some-name", LARGEST),
        ("7.0.0-rc1", LARGEST),
        ("6.1.0-41-amd64", GSO_LEGACY_MAX_SIZE),
        ("5.14.0-503.el9", GSO_LEGACY_MAX_SIZE),
        ("unlike any", GSO_LEGACY_MAX_SIZE),
    ],
)
def test_what_a_kernel_takes(release, size):
    assert largest_here(release) == size


@pytest.mark.parametrize(
    ("here", "told", "size"),
    [
        (LARGEST, {OFFER: LARGEST}, LARGEST),
        (LARGEST, {OFFER: 150000}, 150000),
        (150000, {OFFER: LARGEST}, 150000),
        (LARGEST, {OFFER: 1 << 40}, LARGEST),
        (GSO_LEGACY_MAX_SIZE, {OFFER: LARGEST}, GSO_LEGACY_MAX_SIZE),
        (LARGEST, {}, GSO_LEGACY_MAX_SIZE),
        (LARGEST, {OFFER: "long"}, GSO_LEGACY_MAX_SIZE),
        (LARGEST, {OFFER: True}, GSO_LEGACY_MAX_SIZE),
        (LARGEST, {OFFER: 2.0e5}, GSO_LEGACY_MAX_SIZE),
        (LARGEST, {OFFER: 1500}, GSO_LEGACY_MAX_SIZE),
    ],
)
def test_both_ends_agree_on_the_shorter(here, told, size):
    assert agreed(here, told) == size


def test_a_frame_has_room_for_two_tags():
    assert longest_frame(GSO_LEGACY_MAX_SIZE) == LONGEST_WHOLE
    assert longest_frame(GSO_LEGACY_MAX_SIZE + 1) == LONGEST_WHOLE
    assert longest_frame(LARGEST) == LONGEST_FRAME


def test_without_offload_frames_are_usual_but_for_those_under_way():
    limits = Limits()
    seen = []
    for size, offload in ((LARGEST, False), (LARGEST, True), (LARGEST, False), (GSO_LEGACY_MAX_SIZE, False)):
        limits.change(size, offload=offload)
        seen.append((limits.longest, limits.offload))

    assert seen == [(LONGEST_WHOLE, False), (LONGEST_FRAME, True), (LONGEST_FRAME, False), (LONGEST_WHOLE, False)]


def test_four_of_the_longest_fit_into_a_batch():
    each = LENGTH_BYTES + HEADER.size + LONGEST_FRAME + TAG_BYTES
    assert HEAD_BYTES + 4 * each <= LARGEST_BATCH < HEAD_BYTES + 5 * each
