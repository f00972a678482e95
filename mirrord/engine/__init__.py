"""Composition root: opens journal, stores, sources and transfers, and chooses every concrete class."""
