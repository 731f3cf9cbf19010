"""What fills a fragment's slots: amounts, dates, numbers and order ids."""

from __future__ import annotations

import random
from collections.abc import Callable

__all__ = ["ID_MARK", "filled", "order_id"]

ID_MARK = "\x00"  # stands for the order id until all noise has been applied

_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
_COUNTS = [2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 60]
_MONTHS = ["May", "June", "Oct", "Jan", "March", "Nov"]


def order_id(rng: random.Random, *, lettered: bool = False) -> str:
    """An order id in one of the shapes that tickets use."""
    digits = str(rng.randrange(10**4, 10**6 if rng.random() < 0.3 else 10**5))
    if not lettered and rng.random() < 0.4:
        return digits
    shape = rng.random()
    letters = "".join(rng.choices(_LETTERS, k=2))
    if shape < 0.55:
        found = f"{letters}-{digits}"
    elif shape < 0.85:
        found = f"ORD-{rng.randrange(2022, 2027)}-{rng.randrange(10**5):05d}"
    elif shape < 0.95:
        found = f"{rng.choice(['SO', 'WEB', 'A', letters])}{digits}"
    else:
        found = f"{letters}-{rng.randrange(1000, 9999)}-{rng.randrange(10, 99)}"
    return found.lower() if rng.random() < 0.08 else found


def _money(rng: random.Random, value: float) -> str:
    whole = round(value)
    exact = f"{value:.2f}"
    grouped = f"{whole:,}"
    forms = [
        *(f"£{exact}", f"${exact}", f"€{exact}", f"£{grouped}", f"${grouped}"),
        *(f"€ {grouped}", f"{whole} euros", f"{whole} dollars", f"{whole} pounds"),
        *(f"{whole} quid", f"{grouped} EUR", f"USD {grouped}", exact, str(whole)),
        *(f"{exact} €".replace(".", ","), f"{whole}€", f"{whole} bucks"),
    ]
    return rng.choice(forms)


def _amount(rng: random.Random) -> str:
    return _money(rng, min(500.0, 10 ** rng.uniform(0.3, 2.7)))


def _big(rng: random.Random) -> str:
    if rng.random() < 0.1:
        return f"{rng.choice('£$€')}{rng.uniform(1, 9):.1f}k"
    return _money(rng, 501 + 10 ** rng.uniform(0.5, 3.7))


def _tracking(rng: random.Random) -> str:
    tail = "".join(rng.choices("0123456789", k=9))
    return rng.choice([f"RB{tail}GB", f"1Z{tail}84", f"JD{tail}11", tail * 2])


def _case(rng: random.Random) -> str:
    forms = [f"{rng.randrange(10000, 999999)}", f"CS-{rng.randrange(1000, 9999)}"]
    return rng.choice(forms)


def _phone(rng: random.Random) -> str:
    area, head = rng.randrange(100, 999), rng.randrange(100, 999)
    return f"0{area} {head} {rng.randrange(1000, 9999)}"


def _email(rng: random.Random) -> str:
    name = rng.choice(["jo", "max", "lee", "sam"])
    return f"{name}{rng.randrange(99)}@example.com"


def _error(rng: random.Random) -> str:
    forms = [f"E-{rng.randrange(9999)}", f"0x{rng.randrange(255):02x}", "403", "12"]
    return rng.choice(forms)


def _date(rng: random.Random) -> str:
    named = f"{rng.randrange(1, 29)} {rng.choice(_MONTHS)}"
    return rng.choice([named, f"{rng.randrange(1, 29)}/{rng.randrange(1, 13)}"])


_MADE: dict[str, Callable[[random.Random], str]] = {
    "oid": lambda _: ID_MARK,
    "ref": lambda _: ID_MARK,
    "bare": lambda _: ID_MARK,
    "amt": _amount,
    "big": _big,
    "num": lambda rng: str(rng.choice(_COUNTS)),
    "inv": lambda rng: f"INV-{rng.randrange(1000, 99999)}",
    "trk": _tracking,
    "case": _case,
    "phone": _phone,
    "email": _email,
    "last4": lambda rng: f"{rng.randrange(10000):04d}",
    "err": _error,
    "day": lambda rng: f"{rng.randrange(1, 29)}th",
    "date": _date,
}


def filled(slot: str, rng: random.Random, listed: dict[str, list[str]]) -> str:
    """One value for `slot`: made up, or drawn from the lists of slots.toml."""
    made = _MADE.get(slot)
    return made(rng) if made else rng.choice(listed[slot])
