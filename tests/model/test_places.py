import pytest

from meshnet.model.places import Place, child, find_line

PLACE = Place(1, {"a": Place(2, [3, Place(4, {"b": 5})]), "a.b": 6, "a.b/c": Place(7, {"d": 8}), "": 9, "x[0]": 10})


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("", 1),
        ("a", 2),
        ("a[0]", 3),
        ("a[1]", 4),
        ("a[1].b", 5),
        ("a[1].nothing", 4),
        ("a[2]", 2),
        ("a[99999999999999999999]", 2),
        ("a[x]", 2),
        ("a[0].deeper", 3),
        ("a.b", 6),
        ("a.b/c", 7),
        ("a.b/c.d", 8),
        ("x[0]", 10),
        ("x", 1),
        ("ab", 1),
        ("nothing.at.all", 1),
        ("]][", 1),
    ],
)
def test_the_line_of_a_path_or_of_its_nearest_parent(path, line):
    assert find_line(PLACE, path) == line


def test_a_place_is_found_child_by_child():
    assert child(PLACE, "a", 1, "b") == 5
    assert child(PLACE) is PLACE
