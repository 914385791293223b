"""The `ais` command: parses, calls `aiscore.transport`, prints. No storage logic of its own."""
