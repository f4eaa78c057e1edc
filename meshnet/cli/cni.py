"""``meshnet cni install|uninstall|status``: the plugin and the network list on this node."""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from meshnet.cli.answers import ask
from meshnet.cli.output import emit
from meshnet.cli.parser import add_output_option
from meshnet.cli.relay import socket_of
from meshnet.cli.table import Column
from meshnet.cli.target import refuse_elsewhere
from meshnet.cni.install.inspect import BAD, FAILED, INSTALLED, Part, inspect
from meshnet.cni.install.names import BIN_DIR, CONF_DIR, Places
from meshnet.cni.install.node import install, uninstall
from meshnet.errors import MeshnetError
from meshnet.model.printable import printable
from meshnet.presence import exists

if TYPE_CHECKING:
    from meshnet.cli.parser import CommandParser, Subparsers

COLUMNS = (Column("PART"), Column("STATE"), Column("PATH"), Column("MESSAGE"))
BACK_S = 1.0
"""A daemon that installs hears of the removal at once."""


def register(subparsers: Subparsers) -> None:
    parser = subparsers.add_parser(
        "cni",
        description="Install meshnet as a chained CNI plugin on this node, take it away, or see how it is installed.",
        example="meshnet cni install\nmeshnet cni status\nmeshnet cni uninstall",
    )
    verbs = parser.add_subparsers(title="verbs", dest="verb", metavar="install|uninstall|status", required=True)
    described = {
        run_install: "Place the plugin, and a network list that calls meshnet after the first one there; running pods "
        "are not touched. Again is fine, and needed when that list changes, unless a daemon follows it "
        "(MESHNET_CNI_BIN_DIR and MESHNET_CNI_CONF_DIR).",
        run_uninstall: "Remove the network list and the plugin, and nothing that is not meshnet's. Running pods keep "
        "their interfaces. Stop the daemon first: one that installs would install again.",
        run_status: "Show whether plugin and network list are in place, and what stands in the way. Exit code 1 when "
        "they are not.",
    }
    for run, description in described.items():
        verb = run.__name__.removeprefix("run_")
        sub = verbs.add_parser(verb, description=description, example=f"meshnet cni {verb} --bin-dir /opt/cni/bin")
        _add_places(sub)
        sub.set_defaults(run=run)
        if run is run_status:
            add_output_option(sub)


def _add_places(parser: CommandParser) -> None:
    for option, variable, default, what in (
        ("--bin-dir", "MESHNET_CNI_BIN_DIR", BIN_DIR, "plugins"),
        ("--conf-dir", "MESHNET_CNI_CONF_DIR", CONF_DIR, "network lists"),
    ):
        told = f"where the runtime looks for {what} ({variable}; default: {default})"
        given = Path(os.environ.get(variable) or default)
        parser.add_argument(option, metavar="DIR", type=_directory, default=given, help=told)


def _directory(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("'' is no directory: must be a path (is a variable not set?)")
    return Path(text)


def run_install(args: argparse.Namespace) -> int:
    refuse_elsewhere(args, "cni")
    done = install(Places(args.bin_dir, args.conf_dir))
    nothing = "" if done.plan.problem else "all of it is in place already"
    _say(args, *done.changed, *done.plan.remarks, nothing=nothing)
    if done.plan.problem:
        raise MeshnetError(done.plan.problem)
    return 0


def run_uninstall(args: argparse.Namespace) -> int:
    refuse_elsewhere(args, "cni")
    places = Places(args.bin_dir, args.conf_dir)
    done = uninstall(places)
    _say(args, *done.changed, nothing="" if done.kept else "nothing of it was there")
    if done.kept:
        raise MeshnetError("; ".join(done.kept))
    until = time.monotonic() + BACK_S if done.changed else 0.0
    while time.monotonic() < until:
        if exists(places.list) or exists(places.plugin):
            raise MeshnetError(
                f"{places.list}: is back, a daemon of this node installs it: stop that first, then again"
            )
        time.sleep(0.05)
    return 0


def run_status(args: argparse.Namespace) -> int:
    refuse_elsewhere(args, "cni")
    places = Places(args.bin_dir, args.conf_dir)
    parts = [*inspect(places), *_daemon(places)]
    emit(args, [asdict(part) for part in parts], COLUMNS, [(*asdict(part).values(),) for part in parts])
    return 1 if any(part.state in BAD for part in parts) else 0


def _daemon(places: Places) -> list[Part]:
    """What the daemon says that keeps this node installed; nothing where none does."""
    socket = socket_of(os.environ)
    try:
        told = ask(socket, "health").get("cni")
    except MeshnetError as error:
        return [Part("daemon", "away", socket, str(error))]
    if not told or (told["bin_dir"], told["conf_dir"]) != (str(places.bin_dir), str(places.conf_dir)):
        return [Part("daemon", "apart", socket, "does not install here: MESHNET_CNI_BIN_DIR, MESHNET_CNI_CONF_DIR")]
    if told["problem"]:
        return [Part("daemon", FAILED, socket, told["problem"])]
    return [Part("daemon", INSTALLED, socket, "follows what changes")]


def _say(args: argparse.Namespace, *lines: str, nothing: str) -> None:
    if not args.quiet:
        for line in lines or filter(None, (nothing,)):
            print(printable(line))
