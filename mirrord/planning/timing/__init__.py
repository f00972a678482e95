"""When: the next check of an item, the pause before a retry, and when a store or host is left alone. Pure."""
