"""Points of edwards25519 by the plain formulas, and keys of mixed order: another way than any verifier's."""

from __future__ import annotations

from typing import Final

Point = tuple[int, int]
P: Final = 2**255 - 19
D: Final = -121665 * pow(121666, -1, P) % P
#: RFC 8032 section 5.1.
L: Final = 2**252 + 27742317777372353535851937790883648493
NEUTRAL: Final = (0, 1)


def add(one: Point, two: Point) -> Point:
    """Add points in affine coordinates (RFC 8032 section 5.1.4, the plain formula)."""
    (x1, y1), (x2, y2) = one, two
    t = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def times(number: int, point: Point) -> Point:
    total = NEUTRAL
    for bit in f"{number:b}":
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def roots(square: int) -> set[int]:
    """Return the square roots mod P (RFC 8032 section 5.1.1: P = 5 mod 8)."""
    candidate = pow(square, (P + 3) // 8, P)
    root = next(
        (c for c in (candidate, candidate * pow(2, (P - 1) // 4, P) % P) if (c * c - square) % P == 0), None
    )
    return set() if root is None else {root, -root % P}


def points_at(y: int) -> list[Point]:
    return [(x, y) for x in sorted(roots((y * y - 1) * pow(D * y * y + 1, -1, P) % P))]


def encoded(point: Point) -> bytes:
    x, y = point
    return (y | (x & 1) << 255).to_bytes(32, "little")


#: A good key with a known point: the base point (y = 4/5, x even).
BASE: Final = next(point for point in points_at(4 * pow(5, -1, P) % P) if point[0] % 2 == 0)
#: A point of order 8, and so all eight of small order.
_ORDER_8: Final = points_at(int("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7", 16))[0]
#: By the order of the small part: the base point and such a point.
MIXED_ORDER: Final = {order: encoded(add(BASE, times(8 // order, _ORDER_8))) for order in (2, 4, 8)}
