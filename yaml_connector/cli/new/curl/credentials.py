"""Finds the credentials of the commands: the kind of auth, the cookies, and the login before the job."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from yaml_connector.cli.new.curl.answers import Answer
from yaml_connector.cli.new.curl.call import Call
from yaml_connector.cli.new.curl.tokens import Tokens, Variable, cut_text, joined, start_of, text_in
from yaml_connector.cli.new.curl.values import Values, basic_of, cookie_kind
from yaml_connector.cli.new.names import is_secret_header, is_secret_name
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
        if login is not None:
            self.auth = self._from_login(login, login_answers[-1] if login_answers else None)
        for call in self.calls:
            self.auth = self.auth or self._basic(call) or self._authorization(call)
        for call in self.calls:
            self.auth = self.auth or self._key(call)
        self._cookies()

    # --- kinds ---

    def _basic(self, call: Call) -> dict[str, Any] | None:
        user = call.user
        if user is None:
            found = re.match(r"(?:https?://)?([^/@]*)@", text_in(call.origin))
            user = (found[1],) if found else None
        if user is None:
            return None
        if call.sigv4 is not None:
            return self._aws(call, user)
        for flag in ("digest", "ntlm", "negotiate"):
            if call.source.has(flag):
                self.questions.append(f"the commands use --{flag}, which a spec does not have: is basic accepted, too?")
        return self._pair(*cut(user, ":"))

    def _pair(self, user: Tokens, password: Tokens | None) -> dict[str, Any]:
        """Return basic auth; without a password the user name is the secret."""
        name = self.credential(user, "username", sensitive=not password)
        return {
            "type": "basic",
            "username": name,
            "password": self.credential(password, "password") if password else "",
        }

    def _aws(self, call: Call, user: Tokens) -> dict[str, Any]:
        key, secret = cut(user, ":")
        provider = (call.sigv4 or "").split(":")
        auth: dict[str, Any] = {"type": "aws_sigv4"}
        auth |= {"service": provider[3]} if len(provider) > 3 else {}
        auth |= {"region": provider[2]} if len(provider) > 2 else {}
        auth["access_key_id"] = self.credential(key, "access_key_id")
        auth["secret_access_key"] = self.credential(secret or ("",), "secret_access_key")
        if (token := call.header("x-amz-security-token")) is not None:
            self.headers.add("x-amz-security-token")
            auth["session_token"] = self.credential(token, "session_token")
        return auth

    def credential(self, tokens: Tokens, name: str, *, sensitive: bool | None = None) -> Text:
        """Return the secret that a value of the commands is."""
        if len(tokens) == 1 and isinstance(tokens[0], Variable):
            part = tokens[0]
            return Text.of(self.values.secret(name, part.value, part.name, sensitive=sensitive or None))
        if all(isinstance(part, str) for part in tokens):
            return Text.of(self.values.secret(name, text_in(tokens), sensitive=sensitive or None))
        # Text around variables, as in `token=$TOKEN`, is not secret.
        return Text.of(
            *(part if isinstance(part, str) else self.values.secret(name, part.value, part.name) for part in tokens)
        )

    def _authorization(self, call: Call) -> dict[str, Any] | None:
        tokens = call.header("authorization")
        if tokens is None:
            return None
        self.headers.add("authorization")
        first = start_of(tokens)
        scheme = _SCHEME.match(first)
        rest = cut_text(tokens, len(scheme[0])) if scheme else tokens
        word = (scheme[1] or scheme[2]).strip() if scheme else ""
        if word.lower() == "bearer" and rest:
            return {"type": "bearer", "token": self.credential(rest, "api_key")}
        if word.lower() == "basic" and rest:
            text = text_in(rest)
            pair = basic_of(text) if all(isinstance(part, str) for part in rest) else None
            if pair is not None:
                self.values.secrets[text] = "username" if not pair[1] else "password"
                return self._pair((pair[0],), (pair[1],) if pair[1] else None)
            user, password = cut(rest, ":")
            if password is not None:  # `$(echo -n user:pass | base64)`
                return self._pair(user, password)
        if word.upper().startswith("AWS4-HMAC"):
            self.headers |= {"x-amz-date", "x-amz-content-sha256", "x-amz-security-token"}
            scope = re.search(r"Credential=[^/]*/\d+/([\w-]+)/([\w-]+)/", first)
            auth: dict[str, Any] = {"type": "aws_sigv4"}
            auth |= {"service": scope[2], "region": scope[1]} if scope else {}
            for name in ("access_key_id", "secret_access_key"):
                auth[name] = Text.of(self.values.secret(name, None))
            return auth
        before = first[: scheme.end()] if scheme else ""
        value = Text.of(before, self.credential(rest or tokens, "api_key"))
        return {"type": "api_key", "in": "header", "name": "Authorization", "value": value}

    def _key(self, call: Call) -> dict[str, Any] | None:
        secret = [
            (name, tokens)
            for name, tokens in call.headers
            if is_secret_header(name) and not re.search(r"(?i)csrf|xsrf", name)
        ]
        everywhere = [pair for pair in secret if all(other.header(pair[0].lower()) is not None for other in self.calls)]
        for name, tokens in everywhere or secret:
            self.headers.add(name.lower())
            scheme = re.match(r"(Bearer|Token|Key|Basic) +", start_of(tokens))
            rest = cut_text(tokens, scheme.end()) if scheme else tokens
            value = Text.of(scheme[0] if scheme else "", self.credential(rest, "api_key"))
            return {"type": "api_key", "in": "header", "name": name, "value": value}
        for name, tokens in call.query:
            may_be_key = name.lower() in ("key", "appid", "apikey", "code") and len("".join(map(str, tokens))) > 12
            is_key = is_secret_name(name) or may_be_key
            if is_key and any(part for part in tokens):
                self.query.add(name)
                return {"type": "api_key", "in": "query", "name": name, "value": self.credential(tokens, "api_key")}
        return None

    def _cookies(self) -> None:
        """Send the cookies: as the auth if there is no other, else as a header of the connection."""
        found: dict[str, Tokens] = {}
        for call in self.calls:
            for name, tokens in call.cookies:
                found.setdefault(name, tokens)
        parts: list[str | Ref | Text] = []
        for name, tokens in found.items():
            kind = cookie_kind(name, text_in(tokens))
            if kind == "analytics":
                continue
            value = self.values.text(tokens) if kind == "setting" else self.credential(tokens, name)
            parts += ["; " if parts else "", f"{name}=", value]
        if not parts:
            return
        if self.auth is None:
            self.auth = {"type": "api_key", "in": "header", "name": "Cookie", "value": Text.of(*parts)}
        elif self.auth.get("header") != "Cookie":
            self.extra["Cookie"] = Text.of(*parts)

    # --- a login first ---

    def _from_login(self, login: Call, answer: Answer | None) -> dict[str, Any] | None:
        """Return the auth of a login: where its answer has the token, and which header carries it."""
        for call in self.calls:
            for name, tokens in [*call.headers, *((f"cookie {name}", tokens) for name, tokens in call.cookies)]:
                found = self._token_of(login, answer, tokens)
                if found is not None:
                    return self._token_auth(name, answer, *found)
        if any(call.source.has("cookie") for call in self.calls) or login.source.has("cookie-jar"):
            session = _session_cookie(answer)
            name = session or "session"
            if session is None:
                told = "token: what is the session cookie called that the login sets? `session` is a guess"
                self.questions.append(told)
            token = f"${{{{ '{name}=' ~ cookies['{name}'] }}}}"
            return {"type": "token", "request": None, "token": token, "header": "Cookie", "prefix": ""}
        pasted = [value for call in self.calls if (value := call.header("authorization")) is not None]
        if not pasted:
            return None
        before = next(filter(None, map(start_of, pasted)), "")
        path = _token_path(answer)
        for value in pasted:
            self._forget(value)
        scheme = before.split(" ")[0] if " " in before else ""
        return self._token_auth("Authorization", None, scheme, path or "$.access_token", path is not None)

    def _token_auth(self, name: str, answer: Answer | None, before: str, extraction: str, sure: bool) -> dict[str, Any]:
        """Return the auth of a token that a header, or `cookie NAME`, carries behind a word."""
        auth: dict[str, Any] = {"type": "token", "request": None, "token": extraction}
        if answer is not None and isinstance(answer.data, dict) and "expires_in" in answer.data:
            auth["expires_in"] = "$.expires_in"
        if name.startswith("cookie "):
            auth["token"] = f"${{{{ '{name.removeprefix('cookie ')}=' ~ ({_inner(extraction)}) }}}}"
            auth |= {"header": "Cookie", "prefix": ""}
        else:
            self.headers.add(name.lower())
            if name.lower() != "authorization":
                auth["header"] = name
            if name.lower() != "authorization" or before.strip() != "Bearer":
                auth["prefix"] = before.strip()
        if not sure:
            self.questions.append("token: where is the token in the answer of the login? This is a guess")
        return auth

    def _forget(self, tokens: Tokens) -> None:
        """Note a pasted token as a secret value, so that it is written nowhere; it has no place of its own."""
        for part in tokens:
            text = part if isinstance(part, str) else part.value or ""
            for word in text.split():
                if len(word) > 12:
                    self.values.secrets.setdefault(word, "token")

    def _token_of(self, login: Call, answer: Answer | None, tokens: Tokens) -> tuple[str, str, bool] | None:
        """Return the text before the token, and where the login's answer has it; None if this is not from there."""
        before = start_of(tokens)
        for part in tokens:
            if isinstance(part, Variable) and part.capture is not None and part.capture.call == login.number:
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


def cut(tokens: Tokens, separator: str) -> tuple[Tokens, Tokens | None]:
    """Return what is before and behind a separator; None if it is not there, an empty text if nothing follows."""
    for number, part in enumerate(tokens):
        if isinstance(part, str) and separator in part:
            before, _, after = part.partition(separator)
            return joined([*tokens[:number], before]) or ("",), joined([after, *tokens[number + 1 :]])
    return tokens, None
