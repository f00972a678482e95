"""Times: the next check of an item, the pause before a retry, and the pause of a store or host (breaker). Pure."""
