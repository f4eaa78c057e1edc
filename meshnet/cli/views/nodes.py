"""``meshnet get nodes``: what each node's record says, whether its daemon answers, and in a lab how its uplink is."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from meshnet.cli.table import Column
from meshnet.cli.views.base import Query, Row, View
from meshnet.errors import MeshnetError
from meshnet.model.node_record import decode_node
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.cli.target import Target
    from meshnet.model.resource import Resource

COUNTED = ("endpoints", "sandboxes", "up", "down", "pending", "failed")
OF_PEERS = ("peers", "refused")
OF_THE_LAB = ("daemon", "uplink", "uplink_state")


def read(query: Query) -> list[Row]:
    records = {record.name: record for record in query.objects(Kind.NODE)} if query.target.store_url else {}
    answers = query.target.ask("summary")
    peers = query.target.ask("peers")
    lab = _lab(query.target)
    rows = []
    for name in sorted(records.keys() | answers.keys() | set(query.target.nodes)):
        if query.wants(name):
            counts = {field: value for field, value in answers.get(name, {}).items() if field != "node"}
            record = _record(records[name]) if name in records else {}
            answer = peers.get(name, {})
            told = {field: answer[field] for field in OF_PEERS if field in answer}
            rows.append({"name": name, "reachable": name in answers, **lab.get(name, {}), **record, **counts, **told})
    return rows


def _record(resource: Resource) -> Row:
    """Return what people want to know of a node's record; its certificates are for daemons."""
    record = decode_node(resource)
    return {
        "addresses": list(record.addresses),
        "port": record.port,
        "version": record.version,
        "protocol": list(record.protocol),
        "default_driver": record.default_driver,
        "link_mtu": record.link_mtu,
        "drivers": [
            {"name": driver.name, "version": driver.version, "mtu_limit": driver.mtu_limit}
            for driver in record.drivers.values()
        ],
    }


def _lab(target: Target) -> Mapping[str, Mapping[str, Any]]:
    """Return by node what a lab's supervisor knows of it; nothing elsewhere."""
    if not target.in_lab:
        return {}
    from meshnet.lab.control import ask_lab  # noqa: PLC0415 - only in a lab

    try:
        status, _ = ask_lab("status")
    except MeshnetError as error:
        print(f"not reached: {error}", file=sys.stderr)
        return {}
    return {node["name"]: {field: node[field] for field in OF_THE_LAB} for node in status["nodes"]}


def cells(row: Row) -> Sequence[str]:
    uplink = f"{row['uplink']}: {row['uplink_state']}" if row.get("uplink") else ""
    return (
        row["name"],
        "yes" if row["reachable"] else "no",
        row.get("daemon", ""),
        uplink,
        ", ".join(row.get("addresses", ())),
        str(row.get("port", "")),
        row.get("version", ""),
        ", ".join(driver["name"] for driver in row.get("drivers", ())),
        row.get("default_driver", ""),
        str(row.get("link_mtu") or ""),
        ", ".join(f"{row[name]} {name}" for name in COUNTED if name in row),
    )


NODES = View(
    read,
    [
        Column("NAME"),
        Column("REACHABLE"),
        Column("DAEMON", wide=True),
        Column("UPLINK", wide=True),
        Column("ADDRESSES"),
        Column("PORT", wide=True, right=True),
        Column("VERSION", wide=True),
        Column("DRIVERS"),
        Column("BETWEEN NODES", wide=True),
        Column("LINK MTU", wide=True, right=True),
        Column("HOLDS"),
    ],
    cells,
    namespaced=False,
)
