"""What to do about one item, and the comparisons of sources, objects and records that decide it. Pure."""
