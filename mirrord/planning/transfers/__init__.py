"""How one transfer is divided into parts, resumed, and cleaned up. Pure."""
