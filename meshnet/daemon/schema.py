"""Whether the cluster's schemas are as new as this daemon: asked once at the start, and told in the log."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from meshnet.backoff import doubling
from meshnet.errors import StoreError

if TYPE_CHECKING:
    from meshnet.stores.cluster import ClusterStore

log = logging.getLogger(__name__)

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0


async def tell_of_old_schemas(store: ClusterStore) -> None:
    """Log what is wrong with the age of the schemas, asking until the cluster answers."""
    for delay in doubling(FIRST_DELAY_S, LONGEST_DELAY_S):
        try:
            complaints = await store.schema_complaints()
        except StoreError as error:
            log.info("the age of the cluster's schemas is not known yet: %s", error)
        else:
            break
        await asyncio.sleep(delay)
    for complaint in complaints:
        log.warning("%s", complaint)
