"""The action for one item, and the comparisons of sources, objects and records that decide it. Pure."""
