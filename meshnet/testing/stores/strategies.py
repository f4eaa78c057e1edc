"""What the state machine draws from: few keys and small values, so that its steps meet."""

from __future__ import annotations

from hypothesis import strategies as st

from meshnet.model.resource import Kind

ALL_KEYS = (
    (Kind.TOPOLOGY, "default", "a"),
    (Kind.TOPOLOGY, "default", "b"),
    (Kind.TOPOLOGY, "x", "a"),
    (Kind.NODE, "", "a"),
)
KEYS = st.sampled_from(ALL_KEYS)
PICKS = st.integers(-1, 3)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-1, 2) | st.sampled_from(["", "ü", "\x00", "1"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), _VALUES, max_size=3)
SPECS = st.none() | OBJECTS
LABELS = st.none() | st.dictionaries(st.sampled_from("ab"), st.sampled_from(["", "1"]), max_size=2)
_METADATA_PATCHES = st.fixed_dictionaries(
    {}, optional={"labels": LABELS, "name": st.sampled_from("ab"), "uid": _VALUES}
)
PATCHES = st.fixed_dictionaries({}, optional={"spec": SPECS, "metadata": _METADATA_PATCHES, "status": OBJECTS})
HANDLES = st.integers(0, 1)
EXPECTED = st.sampled_from(["any", "current", "stale", "absent"])
