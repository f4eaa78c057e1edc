"""meshnet: wire pods into a network topology.

Importing this package must stay free of cost: the CNI front passes through here.
"""

__version__ = "0.1.0"
