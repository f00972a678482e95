"""Objects of a store as sources: one object, or the listing of a prefix."""
