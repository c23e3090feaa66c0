"""Credentials with a token that is fetched or made first (OAuth 2, logins, signed JWTs), and the cache of tokens."""

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
from yaml_connector._http.auth.base import Login, auth_kind, import_extra, token_header
from yaml_connector._http.auth.static import basic_header
from yaml_connector._http.coalesce import SingleFlight
from yaml_connector._http.context import CallContext
from yaml_connector._http.json_need import needed_by, strongest
from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector._http.request_template import compile_request
from yaml_connector._spec import auth as spec
from yaml_connector._spec.requests import Request
from yaml_connector.errors import EvaluationError, TransientError

_EARLY = 60.0  # a token is renewed so many seconds before it expires, but at most a quarter of its lifetime
_MOST_TOKENS = 10_000


@dataclass(frozen=True)
class _Fetched:
    """A token as the result of a task: asyncio shows results in its debug log."""

    token: Any = field(repr=False)


class TokenCache:
    """Keeps tokens by credentials until shortly before they expire. A failed fetch is not kept."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[str, tuple[Any, float]] = OrderedDict()
        self._fetches: SingleFlight[_Fetched] = SingleFlight()

    async def get(self, key: str, fetch: Callable[[], Awaitable[tuple[Any, float | None]]]) -> Any:
        """Return the token of these credentials. `fetch` returns a token and its lifetime in seconds (None: until a
        401)."""
        token = self._valid(key)
        if token is not None:
            return token
        fetching = asyncio.ensure_future(self._fetches.run(key, self._fetch, key, fetch))
        # Mark its error as retrieved; otherwise asyncio logs it when no caller is left.
        fetching.add_done_callback(lambda done: done.cancelled() or done.exception())
        # The fetch goes on for the others when this caller is cancelled.
        fetched, _ = await asyncio.shield(fetching)
        return fetched.token

    def _valid(self, key: str) -> Any:
        token, until = self._tokens.get(key, (None, 0.0))  # until when, of the clock's `monotonic`
        if clock().monotonic() >= until:
            return None
        self._tokens.move_to_end(key)
        return token

    async def _fetch(self, key: str, fetch: Callable[[], Awaitable[tuple[Any, float | None]]]) -> _Fetched:
        token = self._valid(key)  # maybe fetched since this task was made
        if token is None:
            token, lifetime = await fetch()
            life = float("inf") if lifetime is None else max(0.0, lifetime - min(_EARLY, lifetime / 4))
            self._tokens[key] = (token, clock().monotonic() + life)
            while len(self._tokens) > _MOST_TOKENS:
                self._tokens.popitem(last=False)
        return _Fetched(token)

    def discard(self, key: str, rejected: Any) -> None:
        """Discard a rejected token, unless another one has been fetched since."""
        if self._tokens.get(key, (None, 0.0))[0] == rejected:
            self._tokens.pop(key, None)


def _credentials_key(scope: Scope, values: Any) -> str:
    """Identify a token: by the credentials, and by the base URL (which config may choose) that they are for."""
    text = json.dumps([scope.base_url, values], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class FetchedAuth:
    """Credentials with a token that is fetched or made: subclasses say from what, and how."""

    def __init__(self) -> None:
        self._cache = TokenCache()

    def _credentials(self, scope: Scope) -> Any:
        """Return the values that the token is fetched with; None if a secret is missing: then nothing is sent."""
        raise NotImplementedError

    async def _fetch(self, context: CallContext, login: Login) -> tuple[Any, float | None]:
        """Return a token and its lifetime in seconds; None: until a 401."""
        raise NotImplementedError

    async def _signing_token(self, request: HttpRequest, context: CallContext, login: Login) -> Any:
        credentials = self._credentials(context.scope)
        if credentials is None:
            return None
        key = _credentials_key(context.scope, credentials)
        token = await self._cache.get(key, lambda: self._fetch(context, login))
        if isinstance(token, str):
            context.add_secret(token)
        request.token = token
        return token

    def invalidate(self, request: HttpRequest, context: CallContext) -> bool:
        credentials = self._credentials(context.scope)
        if credentials is not None:
            self._cache.discard(_credentials_key(context.scope, credentials), request.token)
        return credentials is not None

    async def sign(self, request: HttpRequest, context: CallContext, login: Login) -> None:
        token = await self._signing_token(request, context, login)
        if token is not None:
            request.set_headers(token_header(as_text(token)))


def evaluate_all(values: dict[str, Value], scope: Scope) -> dict[str, Any]:
    """Evaluate each value."""
    return {name: value.evaluate(scope) for name, value in values.items()}


def lifetime_of(value: Any) -> float | None:
    """Return a token's lifetime in seconds; None if the response has none, or one that is not a number."""
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def required_token(token: Any, response: Response, context: CallContext) -> str:
    """Return a token as text; raises TransientError if the login's response had none."""
    if token is None or token == "":
        message = context.describe(response, f"answered {response.status} without a token")
        raise TransientError(message, may_have_been_processed=False)
    return as_text(token)


def token_of(response: Response, context: CallContext) -> tuple[str, float | None]:
    """Return the access token of an OAuth 2 token response, and its lifetime in seconds; raises TransientError if there
    is none."""
    body = response.body if isinstance(response.body, dict) else {}
    return required_token(body.get("access_token"), response, context), lifetime_of(body.get("expires_in"))


@auth_kind(spec.ClientCredentialsAuth)
class ClientCredentials(FetchedAuth):
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

    async def _fetch(self, context: CallContext, login: Login) -> tuple[Any, float | None]:
        values = self._credentials(context.scope)
        form: dict[str, Any] = {"grant_type": "client_credentials"}
        headers = {"Accept": "application/json"}
        client_id, secret = as_text(values["client_id"]), as_text(values["client_secret"])
        if self._basic:
            headers["Authorization"] = basic_header(quote(client_id, safe=""), quote(secret, safe=""), context)
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        scopes = values["scopes"]
        if scopes:
            form["scope"] = " ".join(map(as_text, scopes)) if isinstance(scopes, list) else as_text(scopes)
        form |= values["params"] or {}
        login_values = {"url": values["token_url"], "headers": headers, "form": form}
        response = await login(context, self._plan, Scope(login=login_values))
        return token_of(response, context)


class SignedJwt:
    """Makes signed JWTs (PyJWT)."""

    def __init__(self, model: spec.SignedToken) -> None:
        self._model = model
        self._key = compile_text(model.key)
        self._key_id = compile_text(model.key_id) if model.key_id is not None else None
        self._claims = compile_tree(model.claims)

    def values(self, scope: Scope) -> Any:
        """Return the key and the claims; None if the key is missing."""
        key = self._key.evaluate(scope)
        if key is None:
            return None
        key_id = self._key_id.evaluate(scope) if self._key_id else None
        return {"key": as_text(key), "key_id": key_id, "claims": self._claims.evaluate(scope)}

    def make(self, scope: Scope) -> str:
        """Return a token that is valid from now on; raises EvaluationError if the key does not fit."""
        jwt = import_extra("jwt", self._model.extra)
        values = self.values(scope)
        if values is None:
            raise EvaluationError("the key of the JWT is missing")
        now = int(clock().time())
        claims = {"iat": now, "exp": now + int(self._model.lifetime), **(values["claims"] or {})}
        headers = {"kid": as_text(values["key_id"])} if values["key_id"] is not None else None
        try:
            return str(jwt.encode(claims, values["key"], algorithm=self._model.algorithm, headers=headers))
        except Exception as error:  # PyJWT raises many types, and messages may contain the key
            raise EvaluationError(
                f"the JWT cannot be signed with {self._model.algorithm} and this key ({type(error).__name__})"
            ) from None

    @property
    def lifetime(self) -> float:
        return self._model.lifetime


@auth_kind(spec.JwtAuth)
class Jwt(FetchedAuth):
    """A signed JWT as the bearer token."""

    def __init__(self, model: spec.JwtAuth) -> None:
        super().__init__()
        self._signed = SignedJwt(model)

    def _credentials(self, scope: Scope) -> Any:
        return self._signed.values(scope)

    async def _fetch(self, context: CallContext, login: Login) -> tuple[Any, float | None]:
        return self._signed.make(context.scope), self._signed.lifetime


@auth_kind(spec.TokenAuth)
class Token(FetchedAuth):
    """A login request that returns the token."""

    def __init__(self, model: spec.TokenAuth) -> None:
        super().__init__()
        self._plan = compile_request(model.request)
        self._token_path = compile_extraction(model.token)
        self._expires_in = compile_extraction(model.expires_in)
        self._header = compile_text(model.header)
        self._prefix = compile_text(model.prefix)
        self._jwt = SignedJwt(model.jwt) if model.jwt else None
        self._json = strongest(map(needed_by, (self._token_path, self._expires_in)))
        # The credentials are what the login sends and reads: secrets, config and environment variables.
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

    async def _fetch(self, context: CallContext, login: Login) -> tuple[Any, float | None]:
        scope = context.scope
        if self._jwt is not None:
            scope = scope.with_names(jwt=self._jwt.make(scope))
            context.add_secret(scope.jwt)
        response = await login(context, self._plan, scope, json=self._json)
        read = scope.with_response(response)
        token = required_token(self._token_path.first(read), response, context)
        return token, lifetime_of(self._expires_in.first(read))

    async def sign(self, request: HttpRequest, context: CallContext, login: Login) -> None:
        token = await self._signing_token(request, context, login)
        if token is not None:
            header, prefix = as_text(self._header.evaluate(context.scope)), self._prefix.evaluate(context.scope)
            request.set_headers(token_header(as_text(token), header, as_text(prefix or "")))
