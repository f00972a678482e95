"""Folders: which of their files become items, which wait, and what happens to files that are gone or uploaded."""
