"""The patch panel of a node: ports and what they are spliced to, in the kernel. Knows no Topology and no store."""
