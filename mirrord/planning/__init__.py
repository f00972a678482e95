"""Pure decisions: which items a manifest means, what to do about one, how to cut it, when to look again."""
