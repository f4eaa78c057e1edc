import json
import os

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from meshnet.errors import InvalidObject
from meshnet.model import documents
from meshnet.model.documents import MAX_BYTES, BadText, dump, read_documents
from tests.model import strategies

TEXT = """\
# two of them
apiVersion: networkop.co.uk/v1beta1
kind: Topology
metadata:
  name: r1
  namespace: lab
  annotations:
    example.org/note: "on"
    example.org/list[0]: |
      several
      lines
spec:
  links:
  - uid: 1
    peer_pod: r2
  # a comment
  - uid: 2
    peer_pod: r3
    options: {mode: bridge,
              deep: [1, 2]}
---

---
apiVersion: v1
kind: Pod
metadata: {name: r1}
...
"""


def one(text):
    (document,) = read_documents(text, "t.yml")
    return document.document


def test_documents_with_their_lines():
    first, second = read_documents(TEXT, "t.yml")

    assert (first.api_version, first.kind, first.namespace, first.name) == (
        "networkop.co.uk/v1beta1",
        "Topology",
        "lab",
        "r1",
    )
    assert (second.kind, second.name, second.namespace) == ("Pod", "r1", "")
    assert (first.line, second.line) == (2, 24)
    lines = TEXT.splitlines()
    for path, line in {
        "kind": "kind: Topology",
        "metadata.name": "  name: r1",
        "metadata.annotations.example.org/note": '    example.org/note: "on"',
        "metadata.annotations.example.org/list[0]": "    example.org/list[0]: |",
        "spec.links": "  links:",
        "spec.links[0]": "  - uid: 1",
        "spec.links[1]": "  - uid: 2",
        "spec.links[1].peer_pod": "    peer_pod: r3",
        "spec.links[1].local_intf": "  - uid: 2",
        "spec.links[1].options.deep[1]": "              deep: [1, 2]}",
        "spec.nothing": "spec:",
    }.items():
        assert lines[first.locate(path) - 1] == line, path
    assert first.where("spec.links[1]") == "t.yml:17"


def test_a_document_is_what_yaml_says_it_is():
    assert one(TEXT.split("---", maxsplit=1)[0]) == yaml.safe_load(TEXT.split("---", maxsplit=1)[0])


def test_scalars_are_those_of_kubernetes():
    text = "{mac: 12:34:56:12:34:56, day: 2001-12-14, port: 0777, flag: on, quoted: 'on', sum: 1e3, none: , eq: =}"

    assert one(text) == {
        "mac": "12:34:56:12:34:56",
        "day": "2001-12-14",
        "port": 511,
        "flag": True,
        "quoted": "on",
        "sum": 1000,
        "none": None,
        "eq": "=",
    }


def test_block_scalars_and_tags():
    assert one("a: |\n  1\nb: !!str 1\nc: !!int '1'\nd: ! 1\ne: !!float 1\nf: !!null ''\ng: !!bool yes") == {
        "a": "1\n",
        "b": "1",
        "c": 1,
        "d": "1",
        "e": 1,
        "f": None,
        "g": True,
    }


def test_keys_are_strings():
    assert one("{80: a, 1.5: c, '8': d, on: e}") == {
        "80": "a",
        "1.5": "c",
        "8": "d",
        "true": "e",
    }


def test_references_and_merge_keys():
    text = """
base: &base {a: 1, b: 2}
other: &other
  c: 3
  a: 9
merged:
  <<: [*base, *other]
  b: 4
alias: *base
single: {<<: *other}
quoted: {"<<": 1}
"""
    document = read_documents(text, "t.yml")[0]

    assert document.document["merged"] == {"a": 1, "b": 4, "c": 3}
    assert document.document["alias"] == {"a": 1, "b": 2}
    assert document.document["single"] == {"c": 3, "a": 9}
    assert document.document["quoted"] == {"<<": 1}
    assert document.locate("merged.b") == 8
    assert document.locate("merged.c") == 4
    assert document.locate("alias") == 9


@pytest.mark.parametrize("large", ["x" * 1_000_000, "{? '" + "x" * 1_000_000 + "' : 1}"], ids=["text", "key"])
def test_a_large_text_is_referred_to_a_few_times_at_most(large):
    """A megabyte of YAML would mean gigabytes of JSON."""
    assert len(one(f"a: &a {large}\nb: [*a, *a]")["b"]) == 2
    with pytest.raises(BadText, match="references counted"):
        read_documents(f"a: &a {large}\nb: [{', '.join(['*a'] * 100)}]", "t.yml")


def test_a_list_is_its_items():
    text = "apiVersion: v1\nkind: List\nitems:\n- kind: A\n  x: [1]\n"
    text += "- kind: List\n  items:\n  - kind: B\n    z: 2\n- null\n"
    first, second = read_documents(text, "t.yml")

    assert (first.kind, first.line, first.locate("x[0]")) == ("A", 4, 5)
    assert (second.kind, second.line, second.locate("z")) == ("B", 8, 9)


@pytest.mark.parametrize("text", ["", "---\n---\n", "# nothing\n", "null", "\ufeff", "kind: List\nitems: []"])
def test_texts_without_objects(text):
    assert read_documents(text, "t.yml") == []


def test_a_byte_order_mark_is_no_key():
    assert one("\ufeffkind: A") == {"kind": "A"}


def test_json_with_what_yaml_has_not():
    """Escaped surrogate pairs, and several values one after the other."""
    text = '{"kind": "A",\n "note": "\\ud83d\\ude00", "n": 1.0, "big": -1000000000000000001}'
    text += '\n{"kind": "List", "items": [{"kind": "B"}]}'
    first, second = read_documents(text, "t.json")

    assert first.document == {"kind": "A", "note": "😀", "n": 1, "big": -1000000000000000001}
    assert type(first.document["n"]) is int
    assert (first.line, second.line, second.kind) == (1, 3, "B")
    assert second.locate("any.path[3]") == 3


def test_many_values_of_json_have_their_lines():
    """One on each line, as ``jq -c`` prints them. Counted from the beginning for each, lines would take a minute."""
    text = json.dumps({"kind": "A", "note": "x" * 1000}) + "\n"
    found = read_documents(text * 10_000, "t.json")

    assert [document.line for document in found] == list(range(1, 10_001))


@pytest.mark.parametrize(
    "text", ["- kind: A\n- {kind: B}\n-\n- kind: C\n", '[{"kind": "A"},\n{"kind": "B"}, null,\n\n{"kind": "C"}]']
)
def test_a_list_of_objects_is_its_items(text):
    assert [(found.kind, found.line) for found in read_documents(text, "t")] == [("A", 1), ("B", 2), ("C", 4)]


@pytest.mark.parametrize("inside", [[], [{"kind": "List", "items": [None, {"kind": "C"}]}]])
def test_a_list_of_json_may_have_what_yaml_has_not(inside):
    """As Python's json writes a character beyond 16 bits, and `meshnet get -o json` a list."""
    values = [{"kind": "A", "note": "😀"}, [{"kind": "B"}], *inside]
    found = read_documents(json.dumps(values), "t.json")

    assert [(each.kind, each.line) for each in found] == [("A", 1), ("B", 1), *[("C", 1)] * len(inside)]
    assert found[0].document["note"] == "😀"


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\u2029"])
def test_what_ends_a_line_in_yaml_is_a_character_in_json(character):
    value = {"kind": "A", "b": f" {character} c {character}"}

    assert one(json.dumps(value, ensure_ascii=False, indent=2)) == value


def test_plain_json_has_lines():
    document = read_documents(json.dumps({"kind": "A", "spec": {"links": [{"uid": 1}]}}, indent=1), "t.json")[0]

    assert document.locate("spec.links[0].uid") == 6


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        ("a: [1, 2", 2, 1, "expected"),
        ("a: 1\n\tb: 2", 2, 1, "character"),
        ("a: b: c", 1, 5, "mapping values"),
        ("a: 1\nb: \x00", 2, 4, "control characters"),
        ("a: über\nb: \x00\nc: 1\n", 2, 4, "control characters"),
        ("a: 1\nb: '\ud800'", 2, 5, "UTF-8"),
        ("- 1", 1, 1, "Kubernetes object"),
        ("kind: A\n---\njust text", 3, 1, "Kubernetes object"),
        ("kind: List\nitems:\n- x", 3, 1, "Kubernetes object"),
        ("a: 1\nb: 2\na: 3", 3, 1, "key 'a' stands here twice, first in line 1"),
        ("x: {a: 1, 'a': 2}", 1, 11, "twice"),
        ("80: 1\n'80': 2", 2, 1, "twice"),
        ('{"a": 1, "a": 2}', 1, 10, "twice"),
        ("a: .nan", 1, 4, "no number that JSON has"),
        ("a: *b", 1, 4, "nothing before"),
        ("a: &a 1\n---\na: *a", 3, 4, "nothing before"),
        ("a: &a [*a]", 1, 8, "inside of what it means"),
        ("a: !local b", 1, 4, "tag !local"),
        ("a: !!python/object:x {}", 1, 4, "tag"),
        ("a: !!int x", 1, 4, "tag"),
        ("a: !!int yes", 1, 4, "tag"),
        ("? [a]\n: b", 1, 3, "key must be"),
        ("? {a: 1}\n: b", 1, 3, "key must be"),
        ("&k a: b\n*k : c", 1, 1, "key must be"),
        ("null: 1", 1, 1, "key must not be null"),
        ("a: {<<: 1}", 1, 10, "merge key"),
        ("a: {<<: [1]}", 1, 12, "merge key"),
        ("%YAML 3.0\n---\na: 1", 1, 1, "YAML"),
        ("kind: A\nname: {{ .Values.name }}\n", 2, 8, "is it a template, to be rendered first"),
    ],
)
def test_bad_texts_name_file_line_and_column(text, line, column, what):
    with pytest.raises(BadText, match=what) as caught:
        read_documents(text, "r1.yml")

    assert (caught.value.source, caught.value.line, caught.value.column) == ("r1.yml", line, column)
    assert str(caught.value).startswith(f"r1.yml:{line}:{column}: ")
    assert isinstance(caught.value, InvalidObject)
    assert caught.value.problems


def bomb(levels):
    """Each level has nine of the level before."""
    lines = ["a0: &a0 x"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines)


def towers(count, height):
    """Each stands on the top of the one before."""
    lines = ["a0: &a0 x"]
    lines += [f"a{n}: &a{n} {'[' * height}*a{n - 1}{']' * height}" for n in range(1, count)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: " + "[" * 100_000, "nest"),
        ("- " * 100_000, "nest"),
        ("{a: " * 100_000, "nest"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "nest"),
        (bomb(20), "more than 1000000 values"),
        (towers(200, 20), "nested deeper than 100"),
        ("a: " + "x" * MAX_BYTES, "larger than 16 MiB"),
        ("a: 0x" + "f" * 1_000_000 + "\nb: " + "9" * 1_000_000, "no number"),
    ],
    ids=["flow", "block", "maps", "json", "bomb", "towers", "size", "digits"],
)
def test_hostile_texts_are_refused(text, what):
    with pytest.raises(BadText, match=what):
        read_documents(text, "t.yml")


def test_what_is_read_is_never_too_deep_to_write():
    deepest = 'kind: A\nb: {"x": ' + "[" * 98 + "]" * 98 + "}"

    assert json.loads(json.dumps(one(deepest))) == one(deepest)


@given(strategies.json_values().filter(lambda value: isinstance(value, dict)))
def test_json_comes_through_unharmed(value):
    """Any JSON that Kubernetes could hold is read as it was written, from JSON and from YAML."""
    value = as_json(value)
    texts = [json.dumps(value), json.dumps(value, ensure_ascii=False, indent=2)]

    for text in texts:
        read = read_documents(text, "t.json")
        if not (str(value.get("kind")).endswith("List") and isinstance(value.get("items"), list)):
            assert [document.document for document in read] == [value]


def as_json(value):
    """The value as Kubernetes would hold it: no NaN, no lone surrogates, integral floats as integers."""
    if isinstance(value, dict):
        return {as_json(key): as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [as_json(inner) for inner in value]
    if isinstance(value, float):
        if value != value or value in {float("inf"), float("-inf")}:
            return 0
        return int(value) if value.is_integer() and abs(value) <= 2**53 else value
    if isinstance(value, int) and not isinstance(value, bool):
        return value if -(2**63) <= value < 2**64 else 0
    return value


@given(strategies.json_values().map(lambda value: {"kind": "A", "value": as_json(value)}))
@example(
    {"kind": "A", "y": "y", "1e3": "1e3", "0o17": "0o17", ".inf": ".inf", "<<": "<<", "80": "80", "": "", "~": "~"}
)
def test_what_is_dumped_is_read_again(value):
    assert one(dump(value)) == value


def test_what_is_no_text_is_escaped_in_a_dump():
    name = os.fsdecode(b"\xe4.yml")
    assert dump([{"source": name}]) == "- source: \\udce4.yml\n"


def test_a_dump_is_for_people():
    same = ["10.0.0.1/24"]

    assert dump({"b": "é", "a": same, "c": same, "on": "on"}) == (
        "b: é\na:\n- 10.0.0.1/24\nc:\n- 10.0.0.1/24\n'on': 'on'\n"
    )


PIECES = [
    "a",
    "b: ",
    "- ",
    "\n",
    "  ",
    "[",
    "]",
    "{",
    "}",
    ",",
    "&x ",
    "*x",
    "!!int ",
    "!t ",
    "<<: ",
    "'",
    '"',
    "\\u",
    "|",
    ">",
]
PIECES += [
    "---\n",
    "...\n",
    "%YAML 1.1\n",
    "? ",
    ": ",
    "#",
    "\t",
    "\r",
    "0x",
    "1e9",
    ".inf",
    "\ufeff",
    "\x00",
    "\ud800",
    "\x85",
]


@pytest.mark.parametrize("loader", [yaml.SafeLoader, getattr(yaml, "CSafeLoader", yaml.SafeLoader)])
@given(text=st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=40).map("".join))
def test_any_text_is_documents_or_bad(loader, text):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(documents, "_LOADER", loader)
        found, bad = documents_or_error(text)

    if bad:
        assert 1 <= bad.line <= text.count("\n") + text.count("\r") + text.count("\x85") + 2
    json.dumps([document.document for document in found], allow_nan=False)
    assert all(document.locate("spec.links[0].uid") >= 1 for document in found)


def documents_or_error(text):
    """The two things that reading may come to; anything else fails the test."""
    try:
        return read_documents(text, "t.yml"), None
    except BadText as error:
        return [], error
