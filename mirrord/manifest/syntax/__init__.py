"""From the bytes of a manifest to a tree with positions: YAML, `${…}`, and the messages about errors of YAML syntax."""
