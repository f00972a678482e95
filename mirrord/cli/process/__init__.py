"""The process around a command: signals, standard streams, the event loop's thread, and process 1 of a container."""
