import pytest

from meshnet.model.schema import ANNOTATION, VERSION, schema_complaint


def definition(**annotations):
    return {"metadata": {"name": "topologies.networkop.co.uk", "annotations": annotations}}


@pytest.mark.parametrize("mark", [str(VERSION), str(VERSION + 1), "99"])
def test_a_schema_of_this_release_or_a_newer_one_is_well(mark):
    assert schema_complaint(definition(**{ANNOTATION: mark})) is None


@pytest.mark.parametrize("mark", ["0", "", "-1", "one", "\u0661", None, 1])
def test_an_older_one_and_one_that_cannot_be_read_are_not(mark):
    complaint = schema_complaint(definition(**{ANNOTATION: mark}))

    assert "topologies.networkop.co.uk" in complaint
    assert f"must be {VERSION} or more" in complaint


@pytest.mark.parametrize("broken", [{}, {"metadata": None}, {"metadata": {"annotations": "x"}}, definition()])
def test_upstreams_has_none(broken):
    assert "has no number" in schema_complaint(broken)
