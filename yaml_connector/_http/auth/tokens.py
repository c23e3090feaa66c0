"""Credentials that are fetched or made first: OAuth 2 client credentials, logins, signed JWTs; and their cache."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from yaml_connector._clock import clock
from yaml_connector._expressions.compile import Value, compile_extraction, compile_text, compile_tree
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.auth.base import AuthCall, need, put, token_header
from yaml_connector._http.auth.static import basic_header
from yaml_connector._http.messages import Response
from yaml_connector._http.request_template import compile_request
from yaml_connector._http.transport import HttpRequest
from yaml_connector._spec import auth as spec
from yaml_connector._spec.requests import Request
from yaml_connector.errors import EvaluationError, TransientError

_EARLY = 60.0  # seconds before its end that a token is renewed, at most a quarter of its life
_MOST_TOKENS = 10_000


@dataclass(frozen=True)
class _Token:
    """A token that a task gives: asyncio shows results of tasks in its debug log."""

    value: Any = field(repr=False)


class TokenCache:
    """Tokens by credentials. One fetch serves all who wait for it; a failed one is not kept."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[str, tuple[Any, float]] = OrderedDict()
        self._fetching: dict[tuple[int, str], asyncio.Future[_Token]] = {}

    async def get(self, key: str, fetch: Callable[[], Awaitable[tuple[Any, float | None]]]) -> Any:
        """The token of these credentials. `fetch` gives a token and its lifetime in seconds (None: until a 401)."""
        token, until = self._tokens.get(key, (None, 0.0))
        if clock().time() < until:
            self._tokens.move_to_end(key)
            return token
        flight = (id(asyncio.get_running_loop()), key)
        under_way = self._fetching.get(flight)
        if under_way is None:
            under_way = self._fetching[flight] = asyncio.ensure_future(self._fetch(key, fetch))
            under_way.add_done_callback(
                lambda done: (self._fetching.pop(flight, None), done.cancelled() or done.exception())
            )
        # shielded: who fetches for others goes on when its own caller gives up
        return (await asyncio.shield(under_way)).value

    async def _fetch(self, key: str, fetch: Callable[[], Awaitable[tuple[Any, float | None]]]) -> _Token:
        token, lifetime = await fetch()
        life = float("inf") if lifetime is None else max(0.0, lifetime - min(_EARLY, lifetime / 4))
        self._tokens[key] = (token, clock().time() + life)
        while len(self._tokens) > _MOST_TOKENS:
            self._tokens.popitem(last=False)
        return _Token(token)

    def forget(self, key: str, refused: Any) -> None:
        """Fetch anew the next time, unless somebody has done so since the refused token was taken."""
        if self._tokens.get(key, (None, 0.0))[0] == refused:
            self._tokens.pop(key, None)


def _credentials_key(scope: Scope, values: Any) -> str:
    """What tells one token from another: the credentials, and the place (which config may choose) that they are for."""
    text = json.dumps([scope.base_url, values], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class Fetched:
    """An auth with a token that is fetched: subclasses say with which credentials, and how."""

    def __init__(self) -> None:
        self._cache = TokenCache()

    def _credentials(self, scope: Scope) -> Any:
        """The values that make this caller's credentials, or None if a secret is missing: then nothing is sent."""
        raise NotImplementedError

    async def _fetch(self, scope: Scope, call: AuthCall) -> tuple[Any, float | None]:
        raise NotImplementedError

    async def _token(self, scope: Scope, call: AuthCall) -> Any:
        credentials = self._credentials(scope)
        if credentials is None:
            return None
        token = await self._cache.get(_credentials_key(scope, credentials), lambda: self._fetch(scope, call))
        if isinstance(token, str):
            call.add_secret(token)
        call.token = token
        return token

    def forget(self, scope: Scope, call: AuthCall) -> bool:
        credentials = self._credentials(scope)
        if credentials is not None:
            self._cache.forget(_credentials_key(scope, credentials), call.token)
        return credentials is not None

    async def sign(self, request: HttpRequest, scope: Scope, call: AuthCall) -> None:
        token = await self._token(scope, call)
        if token is not None:
            put(request, token_header(as_text(token)))


def evaluate_all(values: dict[str, Value], scope: Scope) -> dict[str, Any]:
    return {name: value.evaluate(scope) for name, value in values.items()}


def lifetime_of(value: Any) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def need_token(token: Any, answer: Response, call: AuthCall) -> str:
    if token is None or token == "":
        message = f"{answer.method} {answer.url} answered {answer.status} without a token"
        raise TransientError(call.redact(message), may_have_been_processed=False)
    return as_text(token)


class ClientCredentials(Fetched):
    """OAuth 2 client credentials."""

    def __init__(self, model: spec.ClientCredentialsAuth) -> None:
        super().__init__()
        self._fields = {
            name: compile_tree(getattr(model, name))
            for name in ("token_url", "client_id", "client_secret", "scopes", "params")
        }
        self._basic = model.send_as == "basic"
        self._plan = compile_request(
            Request.model_validate(
                {
                    "method": "POST",
                    "url": "${{ login.url }}",
                    "headers": "${{ login.headers }}",
                    "form": "${{ login.form }}",
                }
            )
        )

    def _credentials(self, scope: Scope) -> Any:
        values = evaluate_all(self._fields, scope)
        return None if values["client_id"] is None or values["client_secret"] is None else values

    async def _fetch(self, scope: Scope, call: AuthCall) -> tuple[Any, float | None]:
        values = self._credentials(scope)
        form: dict[str, Any] = {"grant_type": "client_credentials"}
        headers = {"Accept": "application/json"}
        client_id, secret = as_text(values["client_id"]), as_text(values["client_secret"])
        if self._basic:
            headers["Authorization"] = basic_header(quote(client_id, safe=""), quote(secret, safe=""), call.add_secret)
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        scopes = values["scopes"]
        if scopes:
            form["scope"] = " ".join(map(as_text, scopes)) if isinstance(scopes, list) else as_text(scopes)
        form |= values["params"] or {}
        login = Scope(login={"url": values["token_url"], "headers": headers, "form": form})
        answer = await call.login(self._plan, login)
        body = answer.body if isinstance(answer.body, dict) else {}
        return need_token(body.get("access_token"), answer, call), lifetime_of(body.get("expires_in"))


class SignedJwt:
    """Makes signed JWTs (PyJWT)."""

    def __init__(self, model: spec.SignedToken) -> None:
        self._model = model
        self._key = compile_text(model.key)
        self._key_id = compile_text(model.key_id) if model.key_id is not None else None
        self._claims = compile_tree(model.claims)

    def values(self, scope: Scope) -> Any:
        """The key and the claims, or None if the key is missing."""
        key = self._key.evaluate(scope)
        if key is None:
            return None
        key_id = self._key_id.evaluate(scope) if self._key_id else None
        return {"key": as_text(key), "key_id": key_id, "claims": self._claims.evaluate(scope)}

    def make(self, scope: Scope) -> str:
        """A token that is valid from now on; raises EvaluationError if the key does not fit."""
        jwt = need("jwt", "jwt")
        values = self.values(scope)
        if values is None:
            raise EvaluationError("the key of the JWT is missing")
        now = int(clock().time())
        claims = {"iat": now, "exp": now + int(self._model.lifetime), **(values["claims"] or {})}
        headers = {"kid": as_text(values["key_id"])} if values["key_id"] is not None else None
        try:
            return str(jwt.encode(claims, values["key"], algorithm=self._model.algorithm, headers=headers))
        except Exception as error:  # its kinds are many, and a message may quote the key
            raise EvaluationError(
                f"the JWT cannot be signed with {self._model.algorithm} and this key ({type(error).__name__})"
            ) from None

    @property
    def lifetime(self) -> float:
        return self._model.lifetime


class Jwt(Fetched):
    """A signed JWT as the bearer token."""

    def __init__(self, model: spec.JwtAuth) -> None:
        super().__init__()
        self._signed = SignedJwt(model)

    def _credentials(self, scope: Scope) -> Any:
        return self._signed.values(scope)

    async def _fetch(self, scope: Scope, call: AuthCall) -> tuple[Any, float | None]:
        return self._signed.make(scope), self._signed.lifetime


class Token(Fetched):
    """Log in first: a request gives the token."""

    def __init__(self, model: spec.TokenAuth) -> None:
        super().__init__()
        self._plan = compile_request(model.request)
        self._token_path = compile_extraction(model.token)
        self._expires_in = compile_extraction(model.expires_in)
        self._header = compile_text(model.header)
        self._prefix = compile_text(model.prefix)
        self._jwt = SignedJwt(model.jwt) if model.jwt else None
        # What the login sends and reads makes the credentials: the secrets that it names, and the config.
        used = self._plan.names | self._token_path.names | self._expires_in.names
        self._names = {name[:2] for name in used if name[0] in ("secrets", "config", "env")}

    def _credentials(self, scope: Scope) -> Any:
        values: dict[str, Any] = {}
        for name in sorted(self._names, key=str):
            given = scope.get(str(name[0]))
            value = given if len(name) == 1 else given.get(name[1])
            if name[0] == "secrets" and value is None:
                return None
            values[str(name)] = dict(value) if len(name) == 1 else value
        if self._jwt is not None:
            signed = self._jwt.values(scope)
            if signed is None:
                return None
            values["jwt"] = signed
        return values

    async def _fetch(self, scope: Scope, call: AuthCall) -> tuple[Any, float | None]:
        if self._jwt is not None:
            scope = scope.with_names(jwt=self._jwt.make(scope))
            call.add_secret(scope.jwt)
        answer = await call.login(self._plan, scope, needs_json=self._token_path.is_path)
        read = scope.with_response(answer)
        return need_token(self._token_path.first(read), answer, call), lifetime_of(self._expires_in.first(read))

    async def sign(self, request: HttpRequest, scope: Scope, call: AuthCall) -> None:
        token = await self._token(scope, call)
        if token is not None:
            header, prefix = as_text(self._header.evaluate(scope)), self._prefix.evaluate(scope)
            put(request, token_header(as_text(token), header, as_text(prefix or "")))
