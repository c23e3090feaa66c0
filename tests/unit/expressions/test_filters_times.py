"""The filter `timestamp`, and the function `now`."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.filters import problem, value
from yaml_connector._clock import use_clock
from yaml_connector.errors import EvaluationError
from yaml_connector.testing.clock import START, FakeClock


class TestTimestamp:
    @pytest.mark.parametrize(
        ("given_", "expected"),
        [
            ("2024-05-01T12:00:00Z", 1714564800),
            ("2024-05-01t12:00:00z", 1714564800),
            ("2024-05-01 12:00:00+00:00", 1714564800),
            ("2024-05-01T14:00:00+02:00", 1714564800),
            ("2024-05-01T12:00:00.25Z", 1714564800.25),
            ("2024-05-01T12:00:00.123456789Z", 1714564800.123456),
            ("2024-05-01T12:00:00", 1714564800),
            ("2024-05-01", 1714521600),
            ("1969-12-31T23:59:59Z", -1),
            ("2024-05-01 12:00:00 UTC", 1714564800),
            ("2024-05-01 12:00:00.25 UTC", 1714564800.25),
            ("2024-05-01 12:00:00 GMT", 1714564800),
            ("2024-05-01 12:00:00 +0000 UTC", 1714564800),
            ("Wed, 01 May 2024 12:00:00 GMT", 1714564800),
            ("Wed, 01 May 2024 14:00:00 +0200", 1714564800),
            ("Wednesday, 01-May-24 12:00:00 GMT", 1714564800),
            ("Wed May  1 12:00:00 2024", 1714564800),
            (1714564800, 1714564800),
            (1714564800.5, 1714564800.5),
            (1714564800123, 1714564800.123),
            (1714564800123456, 1714564800.123456),
            (1714564800000000000, 1714564800),
            ("1714564800", 1714564800),
            ("1714564800.5", 1714564800.5),
            ("1714564800123", 1714564800.123),
            (0, 0),
            (-1, -1),
        ],
    )
    def test_is_epoch_seconds(self, given_: Any, expected: float) -> None:
        found = value("x | timestamp", x=given_)
        assert found == pytest.approx(expected, abs=1e-6)
        assert type(found) is type(expected)

    @pytest.mark.parametrize(
        "given_",
        [
            "noon",
            "",
            "2024-13-01T00:00:00Z",
            True,
            [],
            {},
            float("inf"),
            float("nan"),
            "1e400",
            10**400,
            "nan",
            "9" * 400,
            "-62135596801",
            -90_000_000_000,
            "Wed, 99 Foo 2024 12:00:00 GMT",
            "Wed, 01 May 99999 12:00:00 GMT",
            "Wed, 01 May 2024 12:00:00 +9999999",
            "Wed,",
            "soon, at noon",
            "UTC",
            "2024-05-01 12:00:00 CEST",
            "0001-01-01T00:00:00+14:00",  # the year 0 in UTC
            "9999-12-31T23:59:59-14:00",  # the year 10000
        ],
    )
    def test_of_what_is_no_time_is_a_problem(self, given_: Any) -> None:
        problem("x | timestamp", x=given_)

    @given(st.text(alphabet="0123456789:-+ ,.TZAPRMONGUC", max_size=40).map(lambda text: f"Wed, {text}"))
    def test_of_a_date_of_an_odd_form_is_a_number_or_a_problem(self, text: str) -> None:
        with suppress(EvaluationError):
            assert isinstance(value("x | timestamp", x=text), int | float)

    @given(st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1)))
    def test_agrees_with_python(self, moment: datetime) -> None:
        assert value("x | timestamp", x=moment.isoformat() + "Z") == pytest.approx(
            moment.replace(tzinfo=UTC).timestamp(), abs=1e-6
        )


def test_now_is_epoch_seconds_of_the_clock_in_force() -> None:
    import contextvars

    def call() -> None:
        use_clock(FakeClock())
        assert value("now()") == START

    contextvars.copy_context().run(call)
