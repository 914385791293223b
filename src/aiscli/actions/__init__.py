"""What the commands do: `run_*` functions over a context and a request value. No typer in here.

A `run_*` returns the exit code; what it raises is turned into a message and a code by
`aiscli.__main__`.
"""
