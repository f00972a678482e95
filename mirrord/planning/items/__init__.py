"""From manifests to items: what is desired, what changed in it, and the object of each source. Pure."""
