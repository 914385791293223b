"""The load generator; not available yet."""
