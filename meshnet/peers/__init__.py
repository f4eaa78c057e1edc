"""Sessions with the daemons of other nodes: who they are, if they live, what they tell; and streams."""
