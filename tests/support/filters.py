"""How the tests of filters evaluate an expression."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.scopes import AnyScope
from yaml_connector._expressions.compile import compile_text
from yaml_connector.errors import EvaluationError


def value(expression: str, **scope: Any) -> Any:
    """What an expression gives, in both dialects."""
    found = [
        compile_text("${{ " + expression + " }}", answer=answer).evaluate(AnyScope(**scope)) for answer in (True, False)
    ]
    assert repr(found[0]) == repr(found[1])
    return found[0]


def problem(expression: str, **scope: Any) -> str:
    with pytest.raises(EvaluationError) as raised:
        value(expression, **scope)
    return str(raised.value)
