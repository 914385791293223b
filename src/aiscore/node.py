"""Builds a node from where its data is: the one place that wires the parts of a store together."""

from typing import Self

from aiscore.engine.store import Store

__all__ = ["Node"]


class Node:
    """A store in this process. Layers that come later (backends, auth, cluster) are wired to the engine here."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.store = Store(home)

    @property
    def home_id(self) -> str:
        """Id of the home: it stays with the data, whoever opens it."""
        return self.store.home_id

    def close(self) -> None:
        """Close everything; safe to repeat."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
