"""HTTP and HTTPS sources: `HttpSources` makes an `HttpSource` for each attempt at an item, over shared connections."""

from mirrord.sources.http.sources import HttpSources

__all__ = ["HttpSources"]
