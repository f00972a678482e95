"""Folders: which of their files become items, which wait, and what happens when files are gone or uploaded."""
