"""Each way a distribution can fail before its driver can be looked at, beside one that is fine."""

import re
import sys
from importlib import metadata

import pytest

from meshnet.driver.registry import Registry
from tests.driver.conftest import Site

HOOK = "from meshnet.driver import hookimpl\n@hookimpl\n"

FAILURES = {
    "import error": ("import no_such_module_anywhere\n", "ModuleNotFoundError: No module named 'no_such_module_"),
    "syntax error": ("def (:\n", "SyntaxError"),
    "module ends the process": ("import sys\nsys.exit(3)\n", "SystemExit: 3"),
    "unknown hook argument": (
        HOOK + "def meshnet_register_drivers(register, colour): pass\n",
        "PluginValidationError.*meshnet_register_drivers.*colour",
    ),
    "misspelt hook": (HOOK + "def meshnet_register_driver(register): pass\n", "unknown hook 'meshnet_register_driver'"),
    "hook that raises": (
        HOOK + "def meshnet_register_drivers(register):\n    raise RuntimeError('no\\n  luck')\n",
        "RuntimeError: no luck",
    ),
    "no hook": ("X = 1\n", "registers no driver; right would be a @hookimpl named meshnet_register_drivers"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_a_failing_distribution_is_listed_with_its_reason_and_stops_no_other(site, failure):
    source, reason = FAILURES[failure]
    site.install("aa-failing", source, version="2.5")
    site.install_driver("zz-fine", driver="fine")

    registry = Registry.load(entry_points=site.entry_points())

    (broken,) = registry.broken()
    assert (broken.name, broken.distribution, broken.version) == ("aa-failing-point", "aa-failing", "2.5")
    assert_matches(reason, broken.reason)
    assert [entry.name for entry in registry.usable()] == ["fine"]


def test_who_ends_the_wait_for_an_import_is_told_whose_it_was(site, caplog):
    site.install("endless", "raise KeyboardInterrupt\n")

    with pytest.raises(KeyboardInterrupt):
        Registry.load(entry_points=site.entry_points())

    assert caplog.messages == ["interrupted in endless of distribution endless"]


def test_an_entry_point_at_something_missing_is_broken(site):
    site.install("pointing", "X = 1\n", value="pointing:nothing_here")

    (broken,) = Registry.load(entry_points=site.entry_points()).broken()

    assert_matches("AttributeError.*nothing_here", broken.reason)


def test_a_hook_that_raises_half_way_registers_nothing(site):
    site.install_driver("half", driver="half")
    source = (site.path / "half.py").read_text() + "    raise RuntimeError('half way')\n"
    (site.path / "half.py").write_text(source)

    registry = Registry.load(entry_points=site.entry_points())

    assert registry.find("half") is None
    assert [broken.reason for broken in registry.broken()] == ["half: RuntimeError: half way"]


def test_load_finds_what_is_installed(site):
    site.install_driver("zz-installed", driver="zz-installed", version="3.1")

    entry = Registry.load().get("zz-installed")

    assert (entry.distribution, entry.version) == ("zz-installed", "3.1")


def test_one_without_metadata_is_told_as_far_as_can_be(site):
    site.install_driver("aa-bare", driver="bare")
    site.install_driver("zz-fine", driver="fine")
    (site.path / "aa_bare-1.0.dist-info" / "METADATA").unlink()

    registry = Registry.load()

    bare, fine = registry.get("bare"), registry.get("fine")
    assert (bare.distribution, bare.version) == ("unknown", "")
    assert (fine.distribution, fine.version) == ("zz-fine", "1.0")


def test_one_whose_metadata_is_no_text_stops_no_other(site):
    site.install_driver("aa-latin", driver="latin")
    site.install_driver("zz-fine", driver="fine")
    (site.path / "aa_latin-1.0.dist-info" / "METADATA").write_bytes("Name: aa-latin\nAuthor: Jörg\n".encode("latin-1"))

    registry = Registry.load()

    latin, fine = registry.get("latin"), registry.get("fine")
    assert (latin.distribution, latin.version) == ("unknown", "")
    assert (fine.distribution, fine.version) == ("zz-fine", "1.0")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"[console_scripts]\nx = \xff\n", "entry_points.txt: UnicodeDecodeError: .* invalid start byte"),
        (b"[meshnet]\nlatin\n", "entry_points.txt: .*Error"),
    ],
)
def test_one_whose_entry_points_cannot_be_read_stops_no_other(site, text, reason):
    site.install("aa-torn", HOOK, version="2.5")
    site.install_driver("zz-fine", driver="fine")
    (site.path / "aa_torn-2.5.dist-info" / "entry_points.txt").write_bytes(text)

    registry = Registry.load()

    (torn,) = (broken for broken in registry.broken() if broken.distribution == "aa-torn")
    assert (torn.name, torn.version) == ("aa-torn", "2.5")
    assert_matches(reason, torn.reason)
    assert registry.get("fine").distribution == "zz-fine"


def test_of_two_of_one_name_the_first_on_the_path_counts(site, tmp_path_factory, monkeypatch):
    behind = Site(tmp_path_factory.mktemp("behind"))
    monkeypatch.setattr(sys, "path", [*sys.path, str(behind.path)])
    behind.install("zz-twice", HOOK, version="1.0")
    site.install_driver("zz-twice", driver="twice", version="2.0")

    registry = Registry.load()

    assert registry.get("twice").version == "2.0"
    assert not [broken for broken in registry.broken() if broken.distribution == "zz-twice"]


def test_one_whose_metadata_is_none_is_told_as_far_as_can_be(site, monkeypatch):
    """As a Python after 3.13 has it, where that had metadata without a field."""
    site.install_driver("bare", driver="bare")
    points = site.entry_points()
    monkeypatch.setattr(metadata.Distribution, "metadata", None)

    bare = Registry.load(entry_points=points).get("bare")

    assert (bare.distribution, bare.version) == ("unknown", "")


def test_two_distributions_of_one_manager_do_not_blame_each_other(site):
    """A refused hook of the first must not turn up as the second's."""
    site.install("aa-bad", HOOK + "def meshnet_misspelt(register): pass\n")
    site.install("bb-bad", HOOK + "def meshnet_register_drivers(register, x): pass\n")
    site.install_driver("cc-good", driver="good")

    registry = Registry.load(entry_points=site.entry_points())

    first, second = registry.broken()
    assert_matches("meshnet_misspelt", first.reason)
    assert "meshnet_misspelt" not in second.reason
    assert registry.get("good").name == "good"


def assert_matches(pattern, text):
    assert re.search(pattern, text, re.DOTALL), f"{pattern!r} is not in {text!r}"


def test_what_drivers_print_while_they_are_loaded_is_no_part_of_what_a_command_prints(site, capsys):
    site.install_driver("talking", driver="talking", extra="def __init__(self): print('made')")
    source = "print('imported')\n" + (site.path / "talking.py").read_text()
    (site.path / "talking.py").write_text(source.replace("register(Wire)", "register(Wire), print('registered')"))

    (entry,) = Registry.load(entry_points=site.entry_points()).usable()

    assert entry.name == "talking"
    assert capsys.readouterr() == ("", "imported\nregistered\nmade\n")
