"""How late the event loop is: what keeps it from its work keeps every client waiting."""

import asyncio
from collections.abc import Callable

__all__ = ["TICK_S", "measure_lag"]

TICK_S = 0.25
"""Between two looks. What holds the loop up for longer is always seen, for as long as it outlasts the tick."""


async def measure_lag(note: Callable[[float], None]) -> None:
    """Tell `note`, at every tick, by how many seconds it was late; until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + TICK_S
        await asyncio.sleep(TICK_S)
        note(max(loop.time() - due, 0.0))
