"""Notifications: which change of a record is an event, what follows an attempt to send one."""
