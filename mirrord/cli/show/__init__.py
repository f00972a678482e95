"""How commands show plans, status and reports, as text or JSON."""
