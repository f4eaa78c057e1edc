"""Logs: one line a decision, as text or JSON."""

from __future__ import annotations

import json
import logging

import pytest

from meshnet.daemon.logs import configure


@pytest.fixture(autouse=True)
def root_as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_json_is_one_object_a_line(capsys):
    configure("info", "json")
    log = logging.getLogger("meshnet.test")
    log.info("a %s\nof two lines", "message")
    log.debug("not this one")
    try:
        raise ValueError("on purpose")
    except ValueError:
        log.exception("failed")

    out, err = capsys.readouterr()
    first, second = (json.loads(line) for line in err.splitlines())
    assert out == ""
    assert (first["level"], first["logger"], first["message"]) == ("info", "meshnet.test", "a message\nof two lines")
    assert first["time"][:2] == "20"
    assert "trace" not in first
    assert (second["level"], second["message"]) == ("error", "failed")
    assert "ValueError: on purpose" in second["trace"]


def test_text_is_for_people(capsys):
    configure("warning", "text")
    logging.getLogger("meshnet.test").info("not this one")
    logging.getLogger("meshnet.test").warning("look here")

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("WARNING meshnet.test: look here")


def test_text_of_others_adds_no_line_and_commands_no_terminal(capsys):
    configure("warning", "text")
    logging.getLogger("meshnet.test").warning(
        "node %s calls itself %s", "n1", "\x1b[2J\x9bé\n00:00:00.000 INFO all is well"
    )

    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(r"node n1 calls itself \x1b[2J\x9bé\n00:00:00.000 INFO all is well")


def test_configuring_again_does_not_double(capsys):
    configure("info", "text")
    configure("info", "text")
    logging.getLogger("meshnet.test").info("once")

    assert capsys.readouterr().err.count("once") == 1
