"""Where a request may go: whatever a URL looks like, what is checked is what is sent."""

from __future__ import annotations

import contextlib
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from yarl import URL

from tests.support.fake_api import FakeApi
from tests.support.sending import Sender
from yaml_connector._expressions.scope import Scope
from yaml_connector._http import hosts
from yaml_connector._http.hosts import is_forbidden_address, normal_host, parse_pattern, parse_url, resolve_url
from yaml_connector._http.request_template import compile_request
from yaml_connector._spec.requests import Request
from yaml_connector.errors import CallError, EvaluationError

ALLOWED = {
    "allowed_hosts": [
        "*.acme.test",
        "acme.test:8443",
        "xn--bcher-kva.test",
        "192.0.2.1",
        "[2001:db8::1]",
        "port.test:81",
    ]
}


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://API.TEST/Path", "https://api.test/Path"),
        ("https://api.test./x", "https://api.test/x"),
        ("https://api.test:443/x", "https://api.test/x"),
        ("HTTPS://api.test", "https://api.test/"),
        ("https://api.test?x=1", "https://api.test/?x=1"),
        ("https://api.test#frag", "https://api.test/"),
        ("https://a.acme.test/", "https://a.acme.test/"),
        ("https://a.b.ACME.test:444/", "https://a.b.acme.test:444/"),
        ("https://acme.test:8443/", "https://acme.test:8443/"),
        ("https://bücher.test/", "https://xn--bcher-kva.test/"),
        ("https://BÜCHER。test/", "https://xn--bcher-kva.test/"),
        ("https://192.0.2.1/", "https://192.0.2.1/"),
        ("https://１９２.0.2.1/", "https://192.0.2.1/"),
        ("https://[2001:DB8:0::1]/", "https://[2001:db8::1]/"),
        ("https://[::ffff:192.0.2.1]/", "https://192.0.2.1/"),
        ("https://api.test/a%2Fb/%2e%2e?q=%26", "https://api.test/a%2Fb/%2e%2e?q=%26"),
        ("https://api.test/a@b:c", "https://api.test/a@b:c"),
        ("/relative", "https://api.test/relative"),
    ],
)
def test_an_allowed_host_is_sent_in_its_normal_form(url: str, sent: str) -> None:
    api = FakeApi()
    with contextlib.suppress(CallError):
        send(api, url)
    assert [str(request.url).rstrip() for request in api.sent] == [sent]


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://bücher.test/ü?q=ä b", "https://xn--bcher-kva.test/%C3%BC?q=%C3%A4%20b"),
        ("https://${{ config.u }}.test/ü/${{ config.u }}", "https://xn--bcher-kva.test/%C3%BC/b%C3%BCcher"),
        ("/ü", "https://api.test/%C3%BC"),
    ],
)
def test_a_url_as_it_is_in_a_spec_has_letters_beyond_ascii_anywhere(written: str, sent: str) -> None:
    api = FakeApi()
    with contextlib.suppress(CallError):
        Sender(api, config={"u": "bücher"}, **ALLOWED).send({"url": written})
    assert [str(request.url) for request in api.sent] == [sent]


def test_a_base_url_has_letters_beyond_ascii_anywhere() -> None:
    api = FakeApi()
    with contextlib.suppress(CallError):
        Sender(api, base_url="https://bücher.test/ü/").send("GET /x")
    assert [str(request.url) for request in api.sent] == ["https://xn--bcher-kva.test/%C3%BC/x"]


@pytest.mark.parametrize("url", ["/\\evil.test/x", "\\\\evil.test/x", "https://api.test\\@evil.test/x"])
def test_a_backslash_in_a_url_of_a_spec_is_refused_when_it_is_loaded_and_when_it_is_sent(url: str) -> None:
    with pytest.raises(ValidationError, match="contains a backslash"):
        Request.model_validate({"url": url})
    api = FakeApi()
    with pytest.raises(EvaluationError, match=r"backslashes|user name"):
        Sender(api).send({"url": url + "${{ config.u | default('') }}"})
    assert not api.sent


def send(api: FakeApi, url: str) -> None:
    Sender(api, config={"u": url}, **ALLOWED).send({"url": "${{ config.u }}"})


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test/",
        "https://api.test@evil.test/",
        "https://user:pass@api.test/",
        "https://@api.test/",
        "https://evil.test\\@api.test/",
        "https://api.test\\.evil.test/",
        "https://evil.test#@api.test/",
        "https://evil.test?@api.test/",
        "https://api.test.evil.test/",
        "https://evilacme.test/",
        "https://acme.test/",
        "https://.acme.test/",
        "https://acme.test:8444/",
        "https://port.test/",
        "https://port.test:80/",
        "http://api.test/",
        "http://a.acme.test/",
        "https://api.test:444/",
        "//evil.test/",
        "///evil.test/",
        "https:///evil.test/",
        "https:evil.test",
        "\\\\evil.test\\x",
        "/\\evil.test",
        "https://evil%2etest/",
        "https://api.test%00.evil.test/",
        "https://api%2etest/",
        "https://api.test%2f@evil.test/",
        "https://3221225985/",
        "https://0xc0000201/",
        "https://0xc0.0.2.1/",
        "https://0300.0.2.1/",
        "https://192.0.513/",
        "https://192.0.2.1.1/",
        "https://192.0.2.256/",
        "https://api.test/\ud800",
        "/\udcff",
        "https://a\udcff.acme.test/",
        "https://[::1]/",
        "https://[::1%25lo]/",
        "https://[2001:db8::1%25lo]/",
        "https://[v1.x]/",
        "https://[api.test]/",
        "https://api.test]/",
        "https://169.254.169.254/latest/meta-data",
        "https://127.0.0.1/",
        "https://localhost/",
        "https://api.test:99999/",
        "https://api.test:-1/",
        "https://api.test:80:80/",
        "https://api.test:４４３/",
        "https://api..test/",
        "https://api.test../",
        "https://-api.test/",
        "https://a,b.acme.test/",
        "https://a b.acme.test/",
        "https://a\tb.acme.test/",
        "https://a\nb.acme.test/",
        "https://a\0.acme.test/",
        "https://аcme.test/",  # a Cyrillic letter
        "https://a／b.acme.test/",
        f"https://{'a' * 64}.acme.test/",
        f"https://{'a.' * 130}acme.test/",
        "ftp://api.test/",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "data:text/plain,x",
        "unix:///var/run/x.sock",
        "api.test/x://",
        "https://",
        "https://?",
        "https://*.acme.test/",
    ],
)
def test_any_other_host_is_refused_before_anything_is_sent(url: str) -> None:
    api = FakeApi()
    with contextlib.suppress(EvaluationError, CallError):
        send(api, url)
    assert {request.url.host for request in api.sent} <= {"api.test"}
    assert not [request for request in api.sent if request.url.scheme != "https" or request.url.port]
    if "://" in url.replace("x://", "") or url.startswith("/"):
        assert not api.sent


@given(
    st.text(st.sampled_from("ab.-_:@/\\%?#[]é1０。\t\r\n \udcff"), max_size=14),
    st.sampled_from(["https://", "http://", "https:", "//", ""]),
)
def test_every_parser_reads_the_same_host_in_what_is_sent(rest: str, start: str) -> None:
    try:
        target = parse_url(resolve_url("https://api.test/", start + rest))
    except EvaluationError:
        return
    for host in (urlsplit(target.url).hostname, URL(target.url, encoded=True).raw_host):
        assert host == target.host
    assert target.url.isascii()
    assert parse_url(target.url) == target
    assert not set(target.url) & set(" \t\r\n\\")


class TestAPattern:
    @pytest.mark.parametrize(
        "text",
        [
            "",
            "*",
            "*.",
            "a.*",
            "*a.test",
            "*.*.test",
            "https://a.test",
            "a.test/x",
            "u@a.test",
            "a b",
            "a.test:",
            "a.test:x",
            "a..b",
            "0x7f.1",
            "[::1",
            "1.2.3",
        ],
    )
    def test_that_is_none_is_an_error(self, text: str) -> None:
        with pytest.raises(EvaluationError):
            parse_pattern(text)

    @pytest.mark.parametrize(
        ("pattern", "url", "matches"),
        [
            ("a.test", "https://a.test:99/", True),
            ("A.Test.", "https://a.test/", True),
            ("*.a.test", "https://a.test/", False),
            ("*.a.test", "https://x.y.a.test/", True),
            ("*.a.test:99", "https://x.a.test:99/", True),
            ("*.a.test:99", "https://x.a.test/", False),
            ("a.test:443", "https://a.test/", True),
            ("[::1]:8080", "http://[0:0::1]:8080/", True),
            ("*.com", "https://a.com/", True),
        ],
    )
    def test_matches_by_host_and_port(self, pattern: str, url: str, matches: bool) -> None:
        assert parse_pattern(pattern).matches(parse_url(url)) is matches


def test_a_message_about_a_host_says_where_to_add_it() -> None:
    with pytest.raises(EvaluationError) as raised:
        send(FakeApi(), "https://api.tset/")
    for part in (
        "the host api.tset is not allowed; no request was sent",
        "allowed_hosts",
        "public_hosts",
        "api.test",
        "did you mean",
    ):
        assert part in str(raised.value)


def test_an_unencrypted_url_of_an_allowed_host_is_refused_unless_its_port_is_named() -> None:
    with pytest.raises(EvaluationError, match="not encrypted"):
        send(FakeApi(), "http://a.acme.test/")
    api = FakeApi({"GET http://port.test:81/": 200})
    send(api, "http://port.test:81/")
    assert len(api.sent) == 1


@pytest.mark.parametrize(
    ("address", "forbidden"),
    [
        ("169.254.169.254", True),
        ("169.254.1.1", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("0.0.0.0", True),
        ("::", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("8.8.8.8", False),
        ("::1", False),
        ("64:ff9b::a9fe:a9fe", True),
        ("64:ff9b::169.254.1.1", True),
        ("64:ff9b::6464:64c8", True),
        ("64:ff9b::a83f:8110", True),
        ("64:ff9b:1::a9fe:a9fe", True),
        ("::ffff:0:169.254.169.254", True),
        ("fd00:ec2::23", True),
        ("192.0.0.192", True),
        ("64:ff9b::8.8.8.8", False),
        ("64:ff9b::10.0.0.1", False),
        ("2002:a9fe:a9fe::1", True),
        ("2002:a83f:8110::", True),
        ("2002:808:808::1", False),
        ("::169.254.169.254", True),
        ("::100.100.100.200", True),
        ("::8.8.8.8", False),
        ("::ffff:100.100.100.200", True),
        ("::ffff:0.0.0.0", True),
        ("::ffff:8.8.8.8", False),
        ("2001:0:a9fe:a9fe::1", True),
        ("2001:db8::a9fe:a9fe", False),
    ],
)
def test_addresses_of_metadata_services_are_known(address: str, forbidden: bool) -> None:
    assert is_forbidden_address(address) is forbidden


def test_a_host_has_one_form() -> None:
    for text in ("Straße.test", "STRASSE.test", "strasse.test."):
        assert normal_host(text) in ("strasse.test", "xn--strae-oqa.test")


def test_a_url_of_more_than_64_kib_is_refused_wherever_it_comes_from() -> None:
    long = "x" * 70_000
    for refused in (
        lambda: parse_url(f"https://a.test/{long}"),
        lambda: resolve_url("https://a.test/", f"/{long}"),
        lambda: compile_request(Request(path="/jobs", query={"q": long})).build(Scope(), "https://a.test"),
    ):
        with pytest.raises(EvaluationError, match=r"has 700\d\d characters, and 65536 are the most"):
            refused()


def test_a_long_url_is_not_remembered() -> None:
    before = hosts._remembered.cache_info().currsize
    assert parse_url("https://a.test/" + "x" * 2000).rest == "/" + "x" * 2000
    assert hosts._remembered.cache_info().currsize == before


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("c", "https://h.test/a/c"),
        ("../c?d", "https://h.test/c?d"),
        ("?page=2 3", "https://h.test/a/b?page=2%203"),
        (" /c d/e ", "https://h.test/c%20d/e"),
        ("https://o.test/c d", "https://o.test/c%20d"),
        ("//o.test/c", "https://o.test/c"),
    ],
)
def test_a_url_in_a_response_may_be_relative_in_any_way_and_have_blanks(location: str, expected: str) -> None:
    assert parse_url(resolve_url("https://h.test/a/b", location)).url == expected
