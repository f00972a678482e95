"""Sources behind http:// and https://: `HttpSources` makes one `HttpSource` an item over shared connections."""

from mirrord.sources.http.source import HttpSource, HttpSources

__all__ = ["HttpSource", "HttpSources"]
