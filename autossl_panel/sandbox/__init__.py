"""A hosting server in a box: Pebble, its DNS server, an nginx and sample sites, for the demo, the tests and the bench.

Everything but `demo` is plain: no Django here.
"""
