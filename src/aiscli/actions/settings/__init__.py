"""The command itself: settings, aliases, completion, search, doctor."""
