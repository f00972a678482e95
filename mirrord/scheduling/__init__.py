"""When items are reconciled, and how many at once."""
