"""The table of phases."""

from __future__ import annotations

from typing import get_args

from yaml_connector._spec import PHASES
from yaml_connector._spec.phases import Phase


def test_the_table_has_every_phase_in_the_order_of_a_job_s_life() -> None:
    assert list(PHASES) == list(get_args(Phase))


def test_what_ends_a_job_has_a_sign_and_a_colour() -> None:
    assert all(bool(info.sign) == bool(info.colour) == info.terminal for info in PHASES.values())
