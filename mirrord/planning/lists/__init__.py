"""Lists of sources: their formats, and the items of their rows. Pure; `sources.list` reads them."""
