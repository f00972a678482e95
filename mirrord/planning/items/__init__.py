"""From manifests to items: the desired items, their changes, and the object of each source. Pure."""
