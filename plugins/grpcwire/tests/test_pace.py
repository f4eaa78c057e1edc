"""When a wire lets frames gather before it reads again."""

import pytest
from meshnet_grpcwire.pace import ENOUGH_BYTES, GATHER_S, LOAD_BYTES, MANY_FRAMES, gathering
from meshnet_grpcwire.reader import Batch


@pytest.mark.parametrize(
    ("frames", "size", "wait"),
    [
        (0, 0, 0.0),
        (1, 64, 0.0),
        (MANY_FRAMES - 1, 64 * MANY_FRAMES, 0.0),
        (MANY_FRAMES, 64 * MANY_FRAMES, GATHER_S),
        (1, LOAD_BYTES, GATHER_S),
        (7, ENOUGH_BYTES - 1, GATHER_S),
        (7, ENOUGH_BYTES, 0.0),
    ],
)
def test_only_after_a_batch_that_tells_of_load_and_is_not_large_itself(frames, size, wait):
    assert gathering(Batch(b"", frames, size, 0, drained=True)) == wait
