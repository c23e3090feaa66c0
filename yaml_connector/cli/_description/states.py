"""The table of states on the page of `yaml-connector docs`: which state becomes which phase, with what message."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.value_types import duration_text
from yaml_connector._spec import ConnectorSpec
from yaml_connector._spec.sections import Create, Get, Rule
from yaml_connector.cli._description.words import in_words, names_every_state

Text = list[tuple[str, bool]]  # parts of a text, and whether each is code


@dataclass(frozen=True)
class State:
    """A row: what is known of the job, its phase then (empty: it stays as it was), and its message."""

    when: Text
    phase: str
    message: Text


def states(spec: ConnectorSpec) -> Iterator[State]:
    """Yield the rows: first what the API says, in the order of the phase rules, then what the connector adds."""
    yield from _not_submitted(spec.create)
    if spec.get is None:
        yield State(_words("it is submitted"), "SUCCEEDED", [])
        return
    message = _words("the API's message") if spec.get.message is not None else []
    for rule in spec.get.phase:
        yield from (State(when, phase, message) for when, phase in _of_rule(rule))
    if not names_every_state(spec.get):
        yield State(_words("any other state"), "RUNNING", _code("unknown state: ..."))
    if spec.runs is not None:
        yield State(_words("it has ended and left no outputs"), "FAILED", _code("the container ended without outputs"))
    elif any(not output.has_default for output in spec.outputs.values()):
        yield State(_words("it has succeeded, and an output is missing"), "FAILED", _code("the job succeeded, but ..."))
    yield from _not_readable(spec, spec.get)
    yield from _out_of_time(spec.get)


def _of_rule(rule: Rule) -> Iterator[tuple[Text, str]]:
    condition = _code(as_text(rule.when)) if rule.when is not None else []
    if rule.phase is not None:
        yield condition or _words("anything else"), rule.phase
    for phase, values in (rule.map or {}).items():
        shown: Text = [*_code(str(rule.path)), (" is ", False)]
        for number, value in enumerate(values):
            shown += [*(_words(", ") if number else []), *_code(as_text(value) or '""')]
        yield [*shown, *_words(", and "), *condition] if condition else shown, phase


def _not_submitted(create: Create) -> Iterator[State]:
    if create.idempotent or create.adopt is not None:
        tries = f"the API cannot take it now; it is submitted again for {duration_text(create.tolerance)}"
        yield State(_words(tries), "QUEUED", _code("not submitted yet: ..."))


def _not_readable(spec: ConnectorSpec, get: Get) -> Iterator[State]:
    poll = get.poll
    unknown: Text = [("the API does not know it (", False), *_code(as_text(poll.not_found))]
    grace = f") for {duration_text(poll.not_found_grace)} after create"
    yield State([*unknown, (grace, False)], "QUEUED", _code("the API does not know the job yet (...)"))
    yield State([*unknown, (") later", False)], "FAILED", _code("the job no longer exists: ..."))
    if spec.delete is not None:
        yield State([*unknown, (") after a cancel", False)], "ABORTED", _code("the job was cancelled: ..."))
    tolerance = duration_text(poll.tolerance)
    yield State(_words("its state cannot be read"), "", _code("unreadable since ..."))
    yield State(_words(f"its state cannot be read for {tolerance}"), poll.give_up, _code("given up after ..."))


def _out_of_time(get: Get) -> Iterator[State]:
    message = _code("timed out after ...")
    if get.poll.timeout is not None:
        when: Text = [("it is not over ", False), *_code(str(get.poll.timeout)), (" after create", False)]
        yield State(when, get.poll.give_up, message)
    yield State([("it runs longer than the task's ", False), *_code("timeout")], get.poll.give_up, message)


def _words(text: str) -> Text:
    return [(text, False)]


def _code(text: str) -> Text:
    return [(in_words(text), True)]
