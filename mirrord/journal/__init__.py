"""Implementations of `ports.Journal`. They do not import each other, and all pass one contract suite."""
