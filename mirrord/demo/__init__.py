"""The parts of `mirrord demo`: its directory, and a small web server as the origin of its mirrors.

The command itself is `cli.demo`; the daemon and the store that it starts are the same as for any manifest.
"""
