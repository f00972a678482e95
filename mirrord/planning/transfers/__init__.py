"""How one transfer is cut into parts, taken up again and cleaned up. Pure."""
