"""A login before the job."""

from __future__ import annotations

import re
from typing import Any

from yaml_connector.cli.new.curl.call import Call
from yaml_connector.cli.new.curl.credentials import Credentials
from yaml_connector.cli.new.curl.ids import Ids
from yaml_connector.cli.new.curl.tokens import Leaf, Named, Tokens
from yaml_connector.cli.new.curl.values import identifier
from yaml_connector.cli.new.data import data_at
from yaml_connector.cli.new.sketch import Exchange, Ref, Text, as_sample


class Login(Ids):
    """Makes the login of the connection."""

    def _login(self, login: Call | None) -> None:
        auth = self.credentials.auth
        if login is None or auth is None or auth.get("type") != "token":
            return
        request = self._login_request(login)
        auth["request"] = request
        response: dict[str, Any] = {}
        token = str(auth["token"])
        if token.startswith("$."):
            response = {
                "json": data_at({token: "test-token"} | ({"$.expires_in": 3600} if "expires_in" in auth else {}))
            }
        elif (cookie := re.search(r"cookies\['([^']+)'\]", token)) is not None:
            response = {"headers": {"Set-Cookie": f"{cookie[1]}=test-token"}}
        elif (inner := re.search(r"jsonpath\('([^']+)'\)", token)) is not None:
            response = {"json": data_at({inner[1]: "test-token"})}
        else:
            response = {"text": "test-token"}
        self.credentials.login = Exchange(request, response)

    def _login_request(self, login: Call) -> dict[str, Any]:
        values, hidden = (
            self.values,
            ("username", "user", "email", "login", "client_id", "clientid", "account", "user_name", "access_key_id"),
        )

        def visit(value: Any, name: str = "") -> Any:
            if isinstance(value, dict):
                return {key: visit(item, str(key)) for key, item in value.items()}
            if isinstance(value, list):
                return [visit(item, name) for item in value]
            tokens = value.tokens if isinstance(value, Leaf) else (value,) if isinstance(value, str) else None
            if tokens is None:
                return value
            part = tokens[0] if len(tokens) == 1 else ""
            if isinstance(part, Named):
                return Text.of(values.secret(name or part.name, part.value, part.name))
            if part and (identifier(name) in hidden or re.search(r"(?i)pass|secret", name)):
                return Text.of(values.secret(name, part))
            return values.text(tokens, name=name)

        request: dict[str, Any] = {"method": login.method}
        path = values.text(login.path, path=True) if login.path else Text.of("/")
        if self._is_base(login):
            request["path"] = path
        else:
            request["url"] = self._other_url(login, path)
            host = re.sub(r"^https?://", "", str(as_sample(request["url"]))).split("/")[0]
            if host in self.public:
                self.public.remove(host)
            self.hosts.append(host)
        query = {name: visit(Leaf(tokens), name) for name, tokens in login.query}
        request |= {"query": query} if query else {}
        headers = values.headers(login)
        authorization = next((tokens for name, tokens in login.headers if name.lower() == "authorization"), None)
        user = login.user
        if user is not None or authorization is not None:
            headers["Authorization"] = self._login_header(user, authorization)
        request |= {"headers": headers} if headers else {}
        if login.body_kind == "json":
            request["json"] = visit(login.body)
        elif login.body_kind in ("form", "multipart"):
            request[login.body_kind] = {name: visit(item, name) for name, item in login.body}
        elif login.body_kind is not None:
            request |= values.body(login)
        return request

    def _login_header(self, user: Tokens | None, authorization: Tokens | None) -> Text:
        credentials = Credentials(self.values, [])
        if user is not None:
            from yaml_connector.cli.new.curl.credentials import _cut

            name, password = _cut(user, ":")
            first = next(iter(credentials._credential(name, "username").refs), Ref("''", ""))
            second = next(iter(credentials._credential(password, "password").refs), None) if password else None
            pair = f"{first.expression} ~ ':'" + (f" ~ {second.expression}" if second else "")
            import base64

            plain = f"{first.sample}:{second.sample if second else ''}"
            return Text.of("Basic ", Ref(f"({pair}) | b64encode", base64.b64encode(plain.encode()).decode()))
        assert authorization is not None
        first_text = str(authorization[0]) if isinstance(authorization[0], str) else ""
        scheme = first_text.partition(" ")[0] + " " if " " in first_text else ""
        rest = tuple(
            part for part in (first_text[len(scheme) :], *authorization[1 if first_text else 0 :]) if part != ""
        )
        return Text.of(scheme, credentials._credential(rest, "login_key"))
