"""Finds the credentials of the commands: the kind of auth, the cookies, and the login before the job."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from yaml_connector.cli.new.curl.answers import Answer
from yaml_connector.cli.new.curl.call import Call
from yaml_connector.cli.new.curl.tokens import Named, Tokens
from yaml_connector.cli.new.curl.values import (
    Values,
    basic_of,
    cookie_kind,
    header_name,
    is_secret_header,
    is_secret_name,
)
from yaml_connector.cli.new.sketch import Exchange, Ref, Text

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9_-]*:?) +(?=\S|$)|([A-Za-z][A-Za-z0-9_-]*[=:])")


class Credentials:
    """The auth of the connection. `auth` is its section, `headers` and `query` are names that it has taken over."""

    def __init__(self, values: Values, calls: Sequence[Call]) -> None:
        self.values = values
        self.calls = calls
        self.auth: dict[str, Any] | None = None
        self.headers: set[str] = set()
        self.query: set[str] = set()
        self.extra: dict[str, Any] = {}
        self.login: Exchange | None = None
        self.questions: list[str] = []

    def find(self, login: Call | None, login_answers: Sequence[Answer]) -> None:
        """Find the credentials of the calls; the first one that has any counts."""
        if login is not None and self._from_login(login, login_answers):
            self._cookies()
            return
        for call in self.calls:
            self.auth = self.auth or self._basic(call) or self._authorization(call)
        for call in self.calls:
            if self.auth is not None:
                break
            self.auth = self._key(call)
        self._cookies()

    # --- kinds ---

    def _basic(self, call: Call) -> dict[str, Any] | None:
        user = call.user
        if user is None:
            found = re.match(r"(?:https?://)?([^/@]*)@", "".join(part for part in call.origin if isinstance(part, str)))
            user = (found[1],) if found else None
        if user is None:
            return None
        if call.sigv4 is not None:
            return self._aws(call, user)
        for flag in ("digest", "ntlm", "negotiate"):
            if flag in call.source.flags:
                self.questions.append(f"the commands use --{flag}, which a spec does not have: is basic accepted, too?")
        name, password = _cut(user, ":")
        if len(user) == 1 and isinstance(user[0], Named) and password is None:
            name = user
        secret = self._credential(name, "username", sensitive=not password)
        return {
            "type": "basic",
            "username": secret,
            "password": self._credential(password, "password") if password else "",
        }

    def _aws(self, call: Call, user: Tokens) -> dict[str, Any]:
        key, secret = _cut(user, ":")
        provider = (call.sigv4 or "").split(":")
        auth: dict[str, Any] = {"type": "aws_sigv4"}
        auth |= {"service": provider[3]} if len(provider) > 3 else {}
        auth |= {"region": provider[2]} if len(provider) > 2 else {}
        auth["access_key_id"] = self._credential(key, "access_key_id")
        auth["secret_access_key"] = self._credential(secret or ("",), "secret_access_key")
        for name, tokens in call.headers:
            if name.lower() == "x-amz-security-token":
                self.headers.add(name.lower())
                auth["session_token"] = self._credential(tokens, "session_token")
        return auth

    def _credential(self, tokens: Tokens, name: str, *, sensitive: bool | None = None) -> Text:
        if len(tokens) == 1 and isinstance(tokens[0], Named):
            part = tokens[0]
            return Text.of(self.values.secret(name, part.value, part.name, sensitive=sensitive or None))
        if all(isinstance(part, str) for part in tokens):
            return Text.of(self.values.secret(name, "".join(map(str, tokens)), sensitive=sensitive or None))
        # Text around variables, as in `token=$TOKEN`, is not secret.
        return Text.of(
            *(part if isinstance(part, str) else self.values.secret(name, part.value, part.name) for part in tokens)
        )

    def _authorization(self, call: Call) -> dict[str, Any] | None:
        tokens = next((value for name, value in call.headers if name.lower() == "authorization"), None)
        if tokens is None:
            return None
        self.headers.add("authorization")
        first = tokens[0] if isinstance(tokens[0], str) else ""
        scheme = _SCHEME.match(first)
        rest = _cut_text(tokens, len(scheme[0])) if scheme else tokens
        word = (scheme[1] or scheme[2]).strip() if scheme else ""
        if word.lower() == "bearer" and rest:
            return {"type": "bearer", "token": self._credential(rest, "api_key")}
        if word.lower() == "basic" and rest:
            text = "".join(part for part in rest if isinstance(part, str))
            pair = basic_of(text) if all(isinstance(part, str) for part in rest) else None
            if pair is not None:
                self.values.secrets[text] = "username" if not pair[1] else "password"
                user = self._credential((pair[0],), "username", sensitive=not pair[1])
                return {
                    "type": "basic",
                    "username": user,
                    "password": self._credential((pair[1],), "password") if pair[1] else "",
                }
            coded = _encoded_pair(rest)
            if coded is not None:
                return {"type": "basic", "username": self._credential(coded[0], "username", sensitive=not coded[1]),
                        "password": self._credential(coded[1], "password") if coded[1] else ""}  # fmt: skip
        if word.upper().startswith("AWS4-HMAC"):
            self.headers |= {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
            scope = re.search(r"Credential=[^/]*/\d+/([\w-]+)/([\w-]+)/", first)
            auth: dict[str, Any] = {"type": "aws_sigv4"}
            auth |= {"service": scope[2], "region": scope[1]} if scope else {}
            for name in ("access_key_id", "secret_access_key"):
                auth[name] = Text.of(self.values.secret(name, None))
            return auth
        before = first[: scheme.end()] if scheme else ""
        value = Text.of(before, self._credential(rest or tokens, "api_key"))
        return {"type": "api_key", "in": "header", "name": "Authorization", "value": value}

    def _key(self, call: Call) -> dict[str, Any] | None:
        secret = [
            (name, tokens)
            for name, tokens in call.headers
            if is_secret_header(name) and not re.search(r"(?i)csrf|xsrf", name)
        ]
        everywhere = [pair for pair in secret if all(_has_header(other, pair[0]) for other in self.calls)]
        for name, tokens in everywhere or secret:
            self.headers.add(name.lower())
            first = tokens[0] if isinstance(tokens[0], str) else ""
            scheme = re.match(r"(Bearer|Token|Key|Basic) +", first)
            rest = _cut_text(tokens, scheme.end()) if scheme else tokens
            value = Text.of(scheme[0] if scheme else "", self._credential(rest, "api_key"))
            return {"type": "api_key", "in": "header", "name": name, "value": value}
        for name, tokens in call.query:
            is_key = is_secret_name(name) or (
                name.lower() in ("key", "appid", "apikey", "code") and len("".join(map(str, tokens))) > 12
            )
            if is_key and any(part for part in tokens):
                self.query.add(name)
                return {"type": "api_key", "in": "query", "name": name, "value": self._credential(tokens, "api_key")}
        return None

    def _cookies(self) -> None:
        """Send the cookies: as the auth if there is no other, else as a header of the connection."""
        found: dict[str, Tokens] = {}
        for call in self.calls:
            for name, tokens in call.cookies:
                found.setdefault(name, tokens)
        parts: list[str | Ref | Text] = []
        for name, tokens in found.items():
            text = "".join(part for part in tokens if isinstance(part, str))
            kind = cookie_kind(name, text)
            if kind == "analytics":
                continue
            value = self.values.text(tokens) if kind == "setting" else self._credential(tokens, name)
            parts += ["; " if parts else "", f"{name}=", value]
        if not parts:
            return
        if self.auth is None:
            self.auth = {"type": "api_key", "in": "header", "name": "Cookie", "value": Text.of(*parts)}
        elif self.auth.get("header") != "Cookie":
            self.extra["Cookie"] = Text.of(*parts)

    # --- a login first ---

    def _from_login(self, login: Call, answers: Sequence[Answer]) -> bool:
        """Make the auth of a login: where its answer has the token, and which header carries it."""
        answer = answers[-1] if answers else None
        for call in self.calls:
            for name, tokens in [*call.headers, *((f"cookie {name}", tokens) for name, tokens in call.cookies)]:
                found = self._token_of(login, answer, tokens)
                if found is None:
                    continue
                before, extraction, sure = found
                auth: dict[str, Any] = {"type": "token", "request": None, "token": extraction}
                if answer is not None and isinstance(answer.data, dict) and "expires_in" in answer.data:
                    auth["expires_in"] = "$.expires_in"
                if name.startswith("cookie "):
                    cookie = name.removeprefix("cookie ")
                    auth["token"] = f"${{{{ '{cookie}=' ~ ({_inner(extraction)}) }}}}"
                    auth |= {"header": "Cookie", "prefix": ""}
                else:
                    self.headers.add(name.lower())
                    if name.lower() != "authorization":
                        auth["header"] = name
                    if name.lower() != "authorization" or before.strip() != "Bearer":
                        auth["prefix"] = before.strip()
                if not sure:
                    self.questions.append("token: where is the token in the answer of the login? This is a guess")
                self.auth = auth
                return True
        if any(
            "cookie" in call.source.options or call.source.cookies for call in self.calls
        ) or login.source.options.get("cookie-jar"):
            session = _session_cookie(answer)
            name = session or "session"
            token = f"${{{{ '{name}=' ~ cookies['{name}'] }}}}"
            self.auth = {"type": "token", "request": None, "token": token, "header": "Cookie", "prefix": ""}
            if session is None:
                self.questions.append(
                    "token: what is the session cookie called that the login sets? `session` is a guess"
                )
            return True
        if any(_has_header(call, "authorization") for call in self.calls):
            before = next(
                (
                    str(tokens[0])
                    for call in self.calls
                    for name, tokens in call.headers
                    if name.lower() == "authorization" and isinstance(tokens[0], str)
                ),
                "",
            )
            self.headers.add("authorization")
            scheme = before.split(" ")[0] if " " in before else ""
            path = _token_path(answer)
            self.auth = {"type": "token", "request": None, "token": path or "$.access_token"}
            if scheme != "Bearer":
                self.auth["prefix"] = scheme
            if path is None:
                self.questions.append("token: where is the token in the answer of the login? This is a guess")
            for call in self.calls:
                for name, tokens in call.headers:
                    if name.lower() == "authorization":
                        self._forget(tokens)
            return True
        return False

    def _forget(self, tokens: Tokens) -> None:
        """Note a pasted token as a secret value, so that it is written nowhere; it has no place of its own."""
        for part in tokens:
            text = part if isinstance(part, str) else part.value or ""
            for word in text.split():
                if len(word) > 12:
                    self.values.secrets.setdefault(word, "token")

    def _token_of(self, login: Call, answer: Answer | None, tokens: Tokens) -> tuple[str, str, bool] | None:
        """Return the text before the token, and where the login's answer has it; None if this is not from there."""
        before = tokens[0] if tokens and isinstance(tokens[0], str) else ""
        for part in tokens:
            if isinstance(part, Named) and part.capture is not None and part.capture.call == login.number:
                path = part.capture.path or _token_path(answer)
                return before, path or "$.access_token", path is not None and part.capture.sure
        if answer is None or not before:
            return None
        for path, value in answer.values():
            if isinstance(value, str) and len(value) > 7 and before.endswith(value):
                self.values.secrets.setdefault(value, "token")
                return before.removesuffix(value), path, True
        cookies = answer.headers.get("set-cookie", "")
        name, _, value = cookies.partition(";")[0].partition("=")
        if value and before == value:
            self.values.secrets.setdefault(value, "token")
            return "", f"${{{{ cookies['{name}'] }}}}", True
        return None


def _inner(extraction: str) -> str:
    if extraction.startswith("${{"):
        return extraction.removeprefix("${{").removesuffix("}}").strip()
    return f"body | jsonpath('{extraction}')"


def _token_path(answer: Answer | None) -> str | None:
    if answer is None:
        return None
    for path, value in answer.values():
        if isinstance(value, str) and re.search(r"(?i)(access_?token|id_?token|token|jwt|session_?id|session)$", path):
            return path
    return None


def _session_cookie(answer: Answer | None) -> str | None:
    name, equals, _ = (answer.headers.get("set-cookie", "") if answer is not None else "").partition("=")
    return name if equals else None


def _has_header(call: Call, name: str) -> bool:
    return any(known.lower() == name.lower() for known, _ in call.headers)


def _cut(tokens: Tokens, separator: str) -> tuple[Tokens, Tokens | None]:
    """Return what is before and behind a separator; None if it is not there, an empty text if nothing follows."""
    for number, part in enumerate(tokens):
        if isinstance(part, str) and separator in part:
            before, _, after = part.partition(separator)
            first = tuple(item for item in (*tokens[:number], before) if item != "")
            return first or ("",), tuple(item for item in (after, *tokens[number + 1 :]) if item != "")
    return tokens, None


def _cut_text(tokens: Tokens, count: int) -> Tokens:
    first = str(tokens[0])[count:]
    return tuple(item for item in (first, *tokens[1:]) if item != "")


def _encoded_pair(tokens: Tokens) -> tuple[Tokens, Tokens] | None:
    """Return user and password of `$(echo -n user:pass | base64)`."""
    name, password = _cut(tokens, ":")
    return (name, password or ()) if password is not None else None


__all__ = ["Credentials", "header_name"]
