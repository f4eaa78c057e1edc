"""meshnetd, the daemon of a node: settings, the local socket, CNI calls, and what it is composed of."""
