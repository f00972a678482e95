"""The durable record of items and transfers. Backends are blind to each other and pass one contract suite."""
