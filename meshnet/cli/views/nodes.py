"""``meshnet get nodes``: what each node's record says, if its daemon answers, and what its lab or cluster knows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from meshnet.cli.table import Column
from meshnet.cli.views.base import Query, Row, View
from meshnet.errors import DaemonUnreachable, MeshnetError
from meshnet.model.node_record import decode_node
from meshnet.model.resource import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from meshnet.cli.ask import Answers
    from meshnet.model.resource import Resource

COUNTED = ("endpoints", "sandboxes", "up", "down", "pending", "failed")
OF_PEERS = ("peers", "connections", "refused")


def read(query: Query) -> list[Row]:
    records = {record.name: record for record in query.objects(Kind.NODE)} if query.target.store_url else {}
    answers, peers = _asked(query)
    if not records and not answers.told and answers.trouble:
        raise DaemonUnreachable(f"{query.target.name}: {answers.remark()}")
    beside = _beside(query)
    rows = []
    for name in sorted(records.keys() | answers.told.keys() | answers.silent.keys()):
        if query.wants(name):
            summary = answers.told.get(name, {})
            counts = {field: summary[field] for field in COUNTED if field in summary}
            record = _record(records[name]) if name in records else {}
            answer = peers.told.get(name, {})
            told = {field: answer[field] for field in OF_PEERS if field in answer}
            reachable = name in answers.told
            rows.append({"name": name, "reachable": reachable, **beside.get(name, {}), **record, **counts, **told})
    return rows


def _asked(query: Query) -> tuple[Answers, Answers]:
    """Return what the daemons hold, and how they stand with each other; at once, since a silent one takes 3 s."""
    query.target.enter()  # before there are threads
    with ThreadPoolExecutor(1) as thread:
        peers = thread.submit(query.target.ask, "peers")
        return query.ask("summary"), peers.result()


def _beside(query: Query) -> Mapping[str, Mapping[str, Any]]:
    """Return by node what its lab or cluster knows; nothing, and a remark, where that does not answer."""
    try:
        return query.target.about_nodes()
    except MeshnetError as error:
        query.remark(f"not reached: {error}")
        return {}


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


VIEW = View(
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
