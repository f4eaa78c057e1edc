"""meshnet on a node: the plugin where the runtime looks for it, and a network list that calls it.

`lists` reads network lists as libcni does, `merge` and `plan` decide and touch nothing, `place` writes, `node` joins
them into install and uninstall, `follow` keeps a node installed while the directory changes, `inspect` tells how it is.
"""
