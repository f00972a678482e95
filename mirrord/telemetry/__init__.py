"""Who listens to events: logs, progress bars. One sink a file; nothing in the core knows them."""
