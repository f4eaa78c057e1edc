"""The places that a command can act on, with one face: a lab, a node, and (`meshnet.cli.cluster`) a cluster."""
