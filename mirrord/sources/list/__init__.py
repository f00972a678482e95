"""Lists of sources: reads one from a file or a URL, as rows that are items."""
