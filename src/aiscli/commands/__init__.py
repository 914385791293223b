"""The commands, one module a noun.

Each parses, builds one request value, and calls a `run_*` of `aiscli.actions`.
"""
