"""Expressions in their sandbox: no way out of it, and no work without bounds."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.scopes import AnyScope
from yaml_connector._expressions.compile import compile_expression, compile_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.messages import Response
from yaml_connector.errors import EvaluationError

PLAIN = (str, int, float, bool, type(None))


class Canary:
    """Something of the program's own that got into the scope, with what must never come out."""

    def __init__(self) -> None:
        self._private = "planted"

    def method(self) -> str:
        return self._private


def values_of(source: str, **scope: Any) -> list[Any]:
    """What an expression gives in both dialects; an error gives nothing."""
    scope = {"body": {"a": "text", "l": [1], "items": [1], "m": {"k": 1}}, "inputs": {"s": "text"}, "steps": {}, "canary": Canary(),
             "answer": Response("GET", "https://api.test", 200, {}, b"{}"), **scope}  # type: ignore[arg-type]  # fmt: skip
    found = []
    for answer in (True, False):
        try:
            found.append(compile_text("${{ " + source + " }}", answer=answer).evaluate(AnyScope(**scope)))
        except EvaluationError:
            continue
    return found


def is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if isinstance(value, list):
        return all(map(is_plain, value))
    return isinstance(value, PLAIN)


ESCAPES = [
    "''.__class__", "''.__class__.__mro__[1].__subclasses__()", "''['__class__']", "''|attr('__class__')", "[]|attr('__class__')|attr('__base__')",
    "body.__class__", "body['__class__']", "body|attr('__class__')", "body|attr('items')", "body.get('a')", "body['get']('a')", "body|attr('get')",
    "body.items()", "body.keys()", "body.__init__.__globals__", "body.update({'x': 1})", "body.l.append(2)", "body.l.clear()",
    "[''.__class__]|map(attribute='__class__')|list", "['']|map(attribute='__class__.__mro__')|list", "['']|map('attr', '__class__')|list",
    "['']|selectattr('__class__')|map(attribute='upper')|list", "[{'a': 1}]|map(attribute='items')|list", "['']|groupby('__class__')|list",
    "['a']|sort(attribute='__class__')|list", "['a']|unique(attribute='__class__')|list", "['a']|sum(attribute='__class__', start='')",
    "[['a', 1]]|map('first')|map('attr', 'upper')|list",
    "cycler.__init__.__globals__", "cycler('a').__init__.__globals__.os", "joiner.__init__.__globals__", "namespace.__init__.__globals__",
    "cycler", "joiner", "namespace", "lipsum", "lipsum.__globals__", "lipsum()", "range", "dict", "range.__class__", "dict.__base__", "now", "now.__globals__",
    "now.__wrapped__", "uuid5.__closure__", "self", "self.__init__", "self._TemplateReference__context", "self.__class__", "caller", "loop", "context",
    "environment", "__builtins__", "__import__('os')", "config.__class__", "_", "get_flashed_messages", "request", "undefined_name.__class__",
    "''.format", "'{0.__class__}'.format('')", "'{0.__class__.__mro__}'.format('')", "'{x._private}'.format(x=canary)", "'{0[__class__]}'.format(body)",
    "'{0.__init__.__globals__}'.format(canary)", "'{}'.format_map", "'{x.__class__}'.format_map({'x': 1})", "''.format.__self__", "'%s' % canary.method",
    "'{0.__class__}'|format('')", "'%(x)s'|format(x=canary.method)", "('{0.__cla' ~ 'ss__}').format('')", "'{!r}'.format(''.upper)",
    "canary", "canary._private", "canary|attr('_private')", "canary['_private']", "[canary]|map(attribute='_private')|list", "canary|string", "canary|list",
    "canary|json", "canary|tojson", "canary.method", "canary.method.__func__", "canary.method.__self__", "canary|attr('method')", "{'a': canary}", "[canary]",
    "answer.content", "answer._body", "answer|attr('content')", "answer.__class__", "''.upper", "''.join", "[].append", "(1).real", "(1).bit_length", "(1).__add__",
    "1 .__class__", "true.__class__", "none.__class__", "(1, 2).__class__", "{}.__class__", "{}.fromkeys", "(range(3)).__class__", "''.encode().__class__", "''.encode()",
    "''.maketrans('a', 'b')", "{1: 2}", "{'a': {1: 2}}", "namespace(a=1)", "cycler(1)", "joiner(',')", "[1]|map('upper')", "(i for i in [1])", "''|safe", "''|escape|attr('__class__')",
    "''|forceescape|attr('unescape')", "body|dictsort", "body|items", "body|xmlattr", "''|filesizeformat", "body|pprint", "undefined_name|attr('_fail_with_undefined_error')",
    "undefined_name._undefined_obj", "undefined_name._undefined_exception", "body.nothing._undefined_name", "body.nothing.__dict__", "body.nothing|attr('__class__')",
    "nothing.__class__.__mro__", "body.nothing()", "body.nothing.x()()", "{'a': body.nothing}", "[body.nothing]",
]  # fmt: skip


@pytest.mark.parametrize("source", ESCAPES)
def test_nothing_but_plain_data_comes_out(source: str) -> None:
    for value in values_of(source):
        assert is_plain(value), value
        assert "planted" not in repr(value)


@given(st.recursive(
    st.sampled_from(["''", "body", "canary", "[]", "1", "now", "cycler", "namespace", "self", "body.x", "answer", "dict", "range(2)"]),
    lambda inner: st.tuples(inner, st.sampled_from([
        ".__class__", ".__init__", "|attr('__class__')", "['__class__']", ".upper", ".format", "|list", "|first", "|map(attribute='__class__')", "|string",
        ".mro", "|json", ".__globals__", "()", "|map('attr', 'real')", "|attr('method')", "|default('x')", "['a']", "[0]"])).map("".join),
    max_leaves=6,
))  # fmt: skip
def test_nothing_but_plain_data_comes_out_of_chains_of_them(source: str) -> None:
    for value in values_of(source):
        assert is_plain(value)
        assert "planted" not in repr(value)


def test_what_is_seen_cannot_be_changed() -> None:
    body = {"l": [1], "m": {"k": 1}, "s": {1}}
    for source in ("body.l.append(2)", "body.l.pop()", "body.l.sort()", "body.l.extend([1])", "body.m.update(a=1)", "body.m.pop('k')", "body.m.setdefault('x', 1)",
                   "body.l.__setitem__(0, 5)", "body.l|attr('append')", "body.l.insert(0, 1)", "body.l.reverse()", "body.m.clear()"):  # fmt: skip
        values_of(source, body=body)
    assert body == {"l": [1], "m": {"k": 1}, "s": {1}}


HEAVY = [
    "range(10**9)", "range(10**9)|list", "range(0, 10**9, 1)|list|length", "range(100000)|list", "'a'*10**9", "10**9*'a'", "('a'*10**7)*10**7", "[0]*10**9", "(0,)*10**9",
    "'a'.encode()*10**9", "10**10**10", "2**99999999", "(2**9999)**9999", "9**9**9**9", "(10**2000)**5", "2.5**10**9",
    "[[[[0]*1000]*1000]*1000]*1000", "(([0]*1000)*1000)|json", "([[0]*1000]*1000)|json", "([[[0]*1000]*1000]*1000)|json", "([[[0]*1000]*1000]*1000)|string",
    "([[0]*10000]*10000)|sum(start=[])|length", "[([0]*10000)]*10000|string", "{'a': [[[0]*1000]*1000]*1000}|tojson", "([[0]*10000]*10000)|map('join')|join",
    "'%999999999d' % 1", "'%0999999999d' % 1", "'%*d' % (999999999, 1)", "'%.999999999f' % 1", "('%9' ~ '99999999d') % 1", "'%999999999s'|format('a')", "'%*d'|format(999999999, 1)",
    "'%.*f'|format(999999999, 1.0)", "'{:999999999}'.format(1)", "'{:{}}'.format(1, 999999999)", "'{:{w}}'.format(1, w='999999999')", "'{:>{w}{x}}'.format(1, w='99999', x='9999')",
    "'{0:999999999}'.format_map({'0': 1})", "'{x:{y}}'.format_map({'x': 1, 'y': '999999999'})", "['{:999999999}']|map('format', 1)|list",
    "'a'.ljust(10**9)", "'a'.rjust(10**9)", "'a'.center(10**9)", "'a'.zfill(10**9)", "'a'|center(10**9)", "('\\t'*10**6).expandtabs(10**6)", "'\\t'.expandtabs(10**9)",
    "('\\n'*10**6)|indent(10**6, true, true)", "('\\n'*10**6)|indent('x'*10**6, true, true)", "([1]*1000)|tojson(indent=10**6)", "[[[1]]]|tojson(10**9)", "('a'*10**6)|wordwrap(1)|length",
    "'a'.replace('', 'b'*10**7).replace('', 'c'*10**7)", "('a'*10**4)|replace('a', 'a'*10**4)|replace('a', 'a'*10**4)", "('a'*10**6)|replace('', 'b'*10**6)",
    "('a'*10**4).replace('a', 'a'*10**4).replace('a', 'a'*10**4)", "('a'*10**6)|regex_replace('', 'b'*10**6)", "('a'*10**5)|regex_replace('a', 'a'*10**5)",
    "('a'*10**5)|regex_replace('(a+)', '\\\\1'*10**5)", "range(10000)|join('x'*10**7)", "range(10000)|map('string')|join('x'*10**7)", "('x'*10**7).join(['a']*10000)", "('x'*10**7).join('a'*10000)",
    "range(10000)|map('center', 10**6)|list", "range(10000)|map('center', 10**6)|join", "range(10000)|map('string')|map('center', 10**6)|map('upper')|list|length",
    "range(10000)|map('string')|map('replace', '', 'x'*10**6)|list|length", "(range(10000)|batch(1)|list)*10000", "range(1)|batch(10**9, 'x')|list", "[1]|batch(10**6, 'x')|map('batch', 10**6, 'y')|list|string",
    "range(10000)|slice(10**9)|list", "[1]|slice(10**7)|list", "range(10000)|map('batch', 10**6, 'x')|list", "(5).to_bytes(10**9, 'big')", "('a'*10**6).encode().replace('a'.encode(), ('b'*10**6).encode())",
    "'a'.encode().ljust(10**9)", "'a'.encode().join([('b'*10**6).encode()]*10000)", "range(9999)|map('round', 10**9)|list", "1|round(-(10**9))", "('1'*5000)|int", "('1'*10**6)|int", "('9'*10**6)|float",
    "('a'*10**7)|list|length", "('a'*10**7)|map('upper')|list|length", "('ab '*10**6)|title|wordcount", "('<'*10**7)|escape|escape|escape|length", "('<'*10**6)|forceescape|forceescape|forceescape|forceescape|length",
    "('x'*10**7)|urlencode|urlencode|length", "('é'*10**6)|quote|quote|quote|length", "('a'*10**7)|b64encode|b64encode|b64encode|b64encode|length", "('a'*10**6)|json|json|json|json|length",
    "('\"'*10**6)|json|json|json|json|json|json|json|json", "('a'*10**6)|urlize|length", "('http://a '*10**5)|urlize|length", "('<a'*10**6)|striptags|length", "dict(a=1)|xmlattr", "range(10000)|list|pprint|length",
    "range(10000)|map('tojson', 10**6)|list", "range(10000)|random", "(range(10000)|list)*1000|sort|length", "['a'*10**5]*10000|join", "['a'*10**5]*10000|string|length", "['a'*10**5]*10000|json|length",
    "{'a': ['a'*10**5]*10000}|kvjoin", "namespace(a=[0]*10**9)", "dict(a='a'*10**9)", "cycler('a'*10**9)", "'a'*10**7 ~ 'a'*10**7 ~ 'a'*10**7", "'a'*10**7 + 'a'*10**7 + 'a'*10**7",
    "+".join(["'a'*10**7"] * 600), "~".join(["'a'*10**7"] * 600), "[" + ",".join(["'a'*10**7"] * 600) + "]|join", "('a'*10**7, 'a'*10**7)*10**5", "'a' * (10**7 + 0.0)", "'a' * 10**7|int", "10**9999 * 10**9999",
    "*".join(["10**2000"] * 1000), "'a'|jsonpath('$' ~ '.a'*10**6)", "'a'|regex('(' * 10**5)", "'a'|regex('a{1,65000}'*10**3)", "'[' * 10**6 |fromjson", "('['*10**5)|fromjson", "('{\"a\":'*10**4)|fromjson",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("source", HEAVY, ids=lambda source: source[:60])
def test_no_expression_takes_long_or_makes_much(source: str) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    try:
        values_of(source)
    finally:
        took = time.process_time() - started
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert took < 4, took  # both dialects
    assert grown < 1500, grown


@pytest.mark.parametrize(
    ("most", "more"),
    [("('a' * 1000000) | length", "'a' * 1000001"), ("([0] * 50000) | length", "[0] * 100001")],
)
def test_repeating_makes_a_million_characters_or_a_hundred_thousand_items_at_most(most: str, more: str) -> None:
    assert compile_expression(most, answer=True).evaluate(Scope()) in (1_000_000, 50_000)
    with pytest.raises(EvaluationError, match=r"the result of '\*' would be too large"):
        compile_expression(more, answer=True).evaluate(Scope())


DEEP = [
    "(" * 4000 + "1" + ")" * 4000, "[" * 4000 + "]" * 4000, "{'a':" * 1600 + "1" + "}" * 1600, "-" * 9000 + "1", "not " * 2400 + "1", "+".join("1" * 4900), "~".join("1" * 4900),
    "*".join("1" * 4900), "**".join("1" * 3000), " and ".join(["a"] * 1600), " or ".join(["a"] * 1600), "a" + ".b" * 4900, "a" + "[0]" * 3300, "a" + "['b']" * 1900, "a" + "|upper" * 1400,
    "a" + "()" * 4900, "a if " * 800 + "b" + " else c" * 800, "1 == " * 1900 + "1", "[" + "1," * 4900 + "]", "f(" * 3000 + ")" * 3000, "a|default(" * 900 + "1" + ")" * 900, "a[" * 3300 + "0" + "]" * 3300,
    "'" + "x" * 9900 + "'", "x" * 9999, "9" * 9999, "a is " * 1900 + "defined", " " * 9999, "\n" * 9999,
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("source", DEEP, ids=lambda source: source[:20])
def test_no_nesting_takes_long_or_brings_anything_else_than_a_problem(source: str) -> None:
    assert len(source) <= 10_000
    started = time.process_time()
    for answer in (True, False):
        try:
            compile_expression(source, answer=answer).evaluate(AnyScope(a={"b": "x"}))
        except EvaluationError as problem:
            assert str(problem)
    assert time.process_time() - started < 4


def test_an_expression_has_a_greatest_length() -> None:
    with pytest.raises(EvaluationError, match="may not be longer than 10000 characters"):
        compile_expression("1" + "+1" * 5000, answer=True)


def test_what_is_normal_is_not_in_the_way_of_the_bounds() -> None:
    for source, expected in (
        ("'-' * 80", "-" * 80), ("'%05d' % 42", "00042"), ("'{:>8.2f}'.format(1.5)", "    1.50"), ("range(100) | sum", 4950), ("'%-10s|' | format('a')", "a         |"),
        ("2 ** 40", 2**40), ("1714564800123 // 1000", 1714564800), ("'a,b'.split(',')", ["a", "b"]), ("'x' | center(9)", "    x    "), ("1714564800123 | string | length", 13),
        ("[3, 1] | sort", [1, 3]), ("(10 ** 12) | string", "1000000000000"), ("1714564800123 | default(1714564800123)", 1714564800123), ("'{a}-{b}'.format(a=1, b='x')", "1-x"),
        ("[1714564800123, 5] | max", 1714564800123), ("['a', 'b'] | join('-')", "a-b"), ("[[1], [2]] | sum(start=[])", [1, 2]), ("[0] * 1000 | length", None),
        ("([0] * 1000) | length", 1000), ("'a\nb' | indent(4)", "a\n    b"), ("{'a': 1} | tojson(indent=2)", '{\n  "a": 1\n}'),
    ):  # fmt: skip
        if expected is not None:
            assert values_of(source) == [expected, expected], source
