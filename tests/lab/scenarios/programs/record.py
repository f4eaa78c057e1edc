"""Prints the certificates of a node's record as JSON. Arguments: NODE."""

import asyncio
import json
import sys

from meshnet.lab.places import STORE
from meshnet.model.node_record import decode_node
from meshnet.model.resource import Kind
from meshnet.stores.open import open_store


async def main(node):
    store = open_store(STORE)
    record = decode_node(await store.get(Kind.NODE, "", node))
    await store.close()
    print(json.dumps(record.certificates))


asyncio.run(main(sys.argv[1]))
