"""What the journals in SQL databases share: the calls of `ports.Journal` as named statements, and rows as values.

A backend adds a `Database`, its `queries.sql` with these names, and its migrations.
"""
