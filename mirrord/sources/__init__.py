"""Where bytes come from: one file a kind of source. Translates errors at its edge; never sees a store."""
