"""Sends what is in the outbox to webhooks, signed, and the requests of heartbeats. `daemon.notifications` runs it."""
