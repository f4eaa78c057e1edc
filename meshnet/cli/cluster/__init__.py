"""A cluster as a place to act on: found by a kubeconfig, asked through its API server, its daemons by `exec`."""
