"""The only code that ever needs root: closed verbs on a Unix socket, the store of keys, edits of the web server.

`client` and `protocol` are for callers; everything else runs in the helper's own process. No Django, no network.
"""
