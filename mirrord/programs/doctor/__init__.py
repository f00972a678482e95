"""`doctor`: finds what is wrong with manifests, machine, folders, network and stores, and says how to fix it."""
