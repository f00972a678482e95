"""Programs that end: one file for each of sync, plan, verify, copy and the offline status."""
