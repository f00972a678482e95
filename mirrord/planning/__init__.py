"""Pure decisions: the items of a manifest, the action for an item, its division into parts, the time of its next
check."""
