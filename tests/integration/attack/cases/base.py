"""What a case of the attack is, and how one is written."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, TypeVar

from tests.integration.attack.attacker import Attacker
from tests.integration.attack.values import Typed

Attack = Callable[[Attacker], object]
T = TypeVar("T")
MB = 1_000_000


@dataclass(frozen=True)
class Case:
    """What is sent, in turns. `at_once` calls are under way all the time."""

    name: str
    attacks: Sequence[Attack]
    at_once: int = 16


CASES: dict[str, Case] = {}


def case(name: str, *attacks: Attack, at_once: int = 16) -> None:
    """Register a case."""
    CASES[name] = Case(name, attacks, at_once)


def once(make: Callable[[], T]) -> Callable[[], T]:
    """Make a value at its first use, for all threads."""
    lock, made = Lock(), list[T]()

    def get() -> T:
        with lock:
            if not made:
                made.append(make())
            return made[0]

    return get


def job(task_type: str, name: str, *calls: str, **given: Any) -> Attack:
    """Create a job whose backend answers as its name says, and make the calls."""

    def attack(attacker: Attacker) -> None:
        made = attacker.create(task_type, f"{name}-{random.getrandbits(40)}", **given)
        for call in calls or ("get",):
            getattr(attacker, call)(made)

    return attack


def created(task_type: str, config: Any = None, inputs: Mapping[str, Typed] | None = None, **given: Any) -> Attack:
    """Create a job, and read it."""

    def attack(attacker: Attacker) -> None:
        attacker.get(attacker.create(task_type, config=config, inputs=inputs, **given))

    return attack
