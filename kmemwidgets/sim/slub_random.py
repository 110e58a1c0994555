"""Random numbers for free lists, from the machine's seed and nothing else."""

from __future__ import annotations

_MASK = (1 << 64) - 1


class Random:
    """xorshift64*: its whole state is one number, so that a checkpoint can hold it.

    Parameters
    ----------
    seed : int
    """

    __slots__ = ("state",)

    def __init__(self, seed: int) -> None:
        # A state of zero would stay zero; the odd constant spreads small seeds.
        self.state = ((seed + 1) * 0x9E3779B97F4A7C15 & _MASK) or 1

    def next(self) -> int:
        """Return 64 random bits."""
        x = self.state
        x ^= x >> 12
        x ^= x << 25 & _MASK
        x ^= x >> 27
        self.state = x
        return x * 0x2545F4914F6CDD1D & _MASK

    def below(self, limit: int) -> int:
        """Return a number from 0 to `limit` - 1."""
        return (self.next() >> 32) * limit >> 32

    def permutation(self, count: int) -> tuple[int, ...]:
        """Return the numbers below `count` in random order (mm/slab_common.c, freelist_randomize)."""
        order = list(range(count))
        for last in range(count - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return tuple(order)
