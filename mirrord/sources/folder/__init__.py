"""Local folders: `scan.LocalFolder` lists one, `settle.SettledFolder` tests which of its files are settled.

Imports nothing: `mirrord validate` needs `overlap_check` only, and no event loop.
"""
