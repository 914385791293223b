"""The smallest prime at or above a number: the modulus of the affine getter."""

__all__ = ["is_prime", "next_prime"]

_WITNESSES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)
"""Miller-Rabin with these decides every number below 2**64 (and some way beyond) exactly."""


def next_prime(number: int) -> int:
    """The smallest prime that is at least `number`; `number` below 2**64."""
    if number <= 2:
        return 2
    candidate = number | 1
    while not is_prime(candidate):
        candidate += 2
    return candidate


def is_prime(number: int) -> bool:
    """True for primes; exact below 2**64."""
    if number < 2:
        return False
    for small in _WITNESSES:
        if number % small == 0:
            return number == small
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd //= 2
        twos += 1
    return not any(_is_composite_by(witness, number, odd, twos) for witness in _WITNESSES)


def _is_composite_by(witness: int, number: int, odd: int, twos: int) -> bool:
    power = pow(witness, odd, number)
    if power in {1, number - 1}:
        return False
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return False
    return True
