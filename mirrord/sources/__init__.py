"""Sources and listings: one module or package for each kind. Owns the translation of their errors; imports no store."""
