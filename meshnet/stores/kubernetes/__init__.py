"""The store of a cluster: custom resources and events of a Kubernetes API server, and what commands ask of it."""
