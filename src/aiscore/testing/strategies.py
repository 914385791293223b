"""Hypothesis strategies for names and content. The one module here that needs hypothesis."""

from hypothesis import strategies as st

from aiscore.model.stream import BLOCK_SIZE
from aiscore.testing.content import pattern

__all__ = ["bucket_names", "contents", "member_names", "object_names", "sizes"]

_PARTS = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(lambda part: part not in {".", "..", "~"})


def bucket_names() -> st.SearchStrategy[str]:
    """Names that a bucket may have."""
    alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
    return st.text(alphabet, min_size=1, max_size=64).filter(lambda name: ".." not in name)


def object_names() -> st.SearchStrategy[str]:
    """Names that an object may have: any Unicode, in one component or several."""
    return st.lists(_PARTS, min_size=1, max_size=4).map("/".join)


def member_names() -> st.SearchStrategy[str]:
    """Names that a file of a shard may have."""
    return object_names()


def sizes(largest: int = 2 * BLOCK_SIZE) -> st.SearchStrategy[int]:
    """Bytes: mostly few, and the edges of blocks."""
    edges = [
        edge
        for edge in (0, 1, 511, 512, 513, 4096, BLOCK_SIZE - 1, BLOCK_SIZE, BLOCK_SIZE + 1)
        if edge <= largest
    ]
    return st.one_of(
        st.integers(0, min(largest, 2000)), st.sampled_from(edges), st.integers(0, largest)
    )


def contents(largest: int = 2 * BLOCK_SIZE) -> st.SearchStrategy[bytes]:
    """Content; drawn as a size and a seed, so that a large one costs the search little."""
    return st.builds(pattern, sizes(largest), st.integers(0, 255))
