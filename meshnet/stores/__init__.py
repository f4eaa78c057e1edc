"""Where Topologies and node records live: one interface, several stores."""
