"""Observe, compare, repair: what this node's pods should be wired to, and making it so.

`Table` knows what is on the node, `TopologyCache` what users want, `Settler` makes one end of a link as it should be.
No step depends on having seen an event.
"""
