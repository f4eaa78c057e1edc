"""A real Kubernetes for tests: a lone API server, or a whole cluster of machines made of namespaces."""
