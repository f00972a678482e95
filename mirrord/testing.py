"""Fakes of the ports for programs that use mirrord: an in-memory store, a manual clock."""
