"""Credentials with a token that is fetched or made first (OAuth 2, logins, signed JWTs)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from math import isfinite
from typing import Any
from urllib.parse import quote

from yaml_connector._clock import clock
from yaml_connector._expressions.compile import (
    Value,
    compile_condition,
    compile_extraction,
    compile_text,
    compile_tree,
    if_given,
    names_of,
)
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.auth.base import Auth, Login, auth_kind, token_header
from yaml_connector._http.auth.static import basic_header
from yaml_connector._http.auth.token_cache import Grant, TokenCache
from yaml_connector._http.context import CallContext
from yaml_connector._http.extras import import_extra
from yaml_connector._http.json_need import needed_by, strongest
from yaml_connector._http.messages import HttpRequest, Response
from yaml_connector._http.request_template import compile_request, compile_url
from yaml_connector._spec import auth as spec
from yaml_connector._spec.requests import Request
from yaml_connector.errors import EvaluationError, TransientError

_LONGEST = 2**16  # characters of one: all text that leaves a call is searched for them


def _credentials_key(scope: Scope, values: Any) -> str:
    """Identify a token: by the credentials, and by the base URL (which config may choose) that they are for."""
    text = json.dumps([scope.base_url, values], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class FetchedAuth(Auth):
    """Credentials with a token that is fetched or made: subclasses say from what, and how."""

    def __init__(self, renew_if: str | bool | None, save: Mapping[str, spec.SavedValue] | None = None) -> None:
        self._cache = TokenCache()
        self._renew_if = if_given(compile_condition, renew_if)
        names = self._renew_if.names if self._renew_if is not None else ()
        self.reads_body = any(name[0] not in ("status", "headers", "cookies", "url") for name in names)
        self._save = {name: (compile_extraction(item.value), item.sensitive) for name, item in (save or {}).items()}

    def _credentials(self, scope: Scope) -> Any:
        """Return the values that the token is fetched with; None if a secret is missing: then nothing is sent."""
        raise NotImplementedError

    async def _fetch(self, context: CallContext, login: Login) -> Grant:
        """Fetch or make the token."""
        raise NotImplementedError

    def _grant(self, token: str, lifetime: float | None, scope: Scope, response: Response) -> Grant:
        """Return the grant with what `save` keeps of the login's response."""
        read = scope.with_response(response)
        saved = {name: value.value(read) for name, (value, _) in self._save.items()}
        secrets = [saved[name] for name, (_, sensitive) in self._save.items() if sensitive]
        texts = tuple(as_text(value) for value in secrets if value is not None and not isinstance(value, bool))
        if max(map(len, texts), default=0) > _LONGEST:
            raise EvaluationError(f"auth.save: a value that is masked has more than {_LONGEST} characters")
        return Grant(token, lifetime, saved, texts)

    async def _granted(self, context: CallContext, login: Login) -> Grant | None:
        credentials = self._credentials(context.scope)
        if credentials is None:
            return None
        key = _credentials_key(context.scope, credentials)
        grant = await self._cache.get(key, lambda: self._fetch(context, login))
        if isinstance(grant.token, str):
            context.add_secret(grant.token)
        for secret in grant.secrets:
            context.add_secret(secret)
        return grant

    async def saved(self, context: CallContext, login: Login | None) -> Mapping[str, Any]:
        """See Auth. Without a login, and without credentials, every name is null."""
        grant = await self._granted(context, login) if self._save and login is not None else None
        return grant.saved if grant is not None else dict.fromkeys(self._save)

    def renew(self, response: Response, context: CallContext, *, again: bool) -> bool:
        if response.token is None:
            return False
        if self._renew_if is None:
            refused = response.status == 401
        else:
            refused = bool(self._renew_if.evaluate(context.scope.with_response(response)))
        if not refused:
            return False
        credentials = self._credentials(context.scope)
        key = _credentials_key(context.scope, credentials)
        return credentials is not None and self._cache.renew(key, response.token, again=again)

    async def sign(self, request: HttpRequest, context: CallContext, login: Login) -> None:
        grant = await self._granted(context, login)
        if grant is not None:
            request.token = grant.token
            request.set_headers(self._headers(as_text(grant.token), context))

    def _headers(self, token: str, context: CallContext) -> dict[str, str]:
        """Return the header that carries the token."""
        return token_header(token)


def evaluate_all(values: dict[str, Value], scope: Scope) -> dict[str, Any]:
    """Evaluate each value."""
    return {name: value.evaluate(scope) for name, value in values.items()}


def lifetime_of(value: Any) -> float | None:
    """Return a token's lifetime in seconds; None if the response has none, or one that is not a number of them."""
    try:
        seconds = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return seconds if isfinite(seconds) else None


def required_token(token: Any, response: Response, context: CallContext) -> str:
    """Return a token as text; raises TransientError if the login's response had none, or a very long one."""
    if token is None or token == "":
        message = context.describe(response, f"answered {response.status} without a token")
        raise TransientError(message, may_have_been_processed=False)
    text = as_text(token)
    if len(text) > _LONGEST:
        what = f"answered {response.status} with a token of {len(text)} characters, and {_LONGEST} are the most"
        raise TransientError(context.describe(response, what), may_have_been_processed=False)
    return text


def token_of(response: Response, context: CallContext) -> tuple[str, float | None]:
    """Return the access token of an OAuth 2 token response, and its lifetime in seconds; raises TransientError if there
    is none."""
    body = response.body if isinstance(response.body, dict) else {}
    return required_token(body.get("access_token"), response, context), lifetime_of(body.get("expires_in"))


async def post_form(
    login: Login, context: CallContext, url: str, headers: Mapping[str, str], form: Mapping[str, Any]
) -> Response:
    """Send a login that is a form; see `Login`."""
    return await login(context, _FORM, Scope(login={"url": url, "headers": headers, "form": form}))


_FORM = compile_request(
    Request.model_validate(
        {"method": "POST", **{part: f"${{{{ login.{part} }}}}" for part in ("url", "headers", "form")}}
    )
)


@auth_kind(spec.ClientCredentialsAuth)
class ClientCredentials(FetchedAuth):
    """OAuth 2 client credentials."""

    def __init__(self, model: spec.ClientCredentialsAuth) -> None:
        super().__init__(model.renew_if, model.save)
        self._fields = {
            name: compile_tree(getattr(model, name)) for name in ("client_id", "client_secret", "scopes", "params")
        }
        self._fields["token_url"] = Value(*compile_url(model.token_url, whole_is_url=True))
        self._basic = model.send_as == "basic"

    def _credentials(self, scope: Scope) -> Any:
        values = evaluate_all(self._fields, scope)
        return None if values["client_id"] is None or values["client_secret"] is None else values

    async def _fetch(self, context: CallContext, login: Login) -> Grant:
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
        response = await post_form(login, context, values["token_url"], headers, form)
        return self._grant(*token_of(response, context), context.scope, response)


class SignedJwt:
    """Makes signed JWTs (PyJWT)."""

    def __init__(self, model: spec.SignedToken) -> None:
        self._model = model
        self._key = compile_text(model.key)
        self._key_id = if_given(compile_text, model.key_id)
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
            key = _prepared_key(self._model.algorithm, values["key"])
            return str(jwt.encode(claims, key, algorithm=self._model.algorithm, headers=headers))
        except Exception as error:  # PyJWT raises many types, and messages may contain the key
            raise EvaluationError(
                f"the JWT cannot be signed with {self._model.algorithm} and this key ({type(error).__name__})"
            ) from None

    @property
    def lifetime(self) -> float:
        return self._model.lifetime


@lru_cache(maxsize=16)
def _prepared_key(algorithm: str, key: str) -> Any:
    """Return a key as PyJWT signs with it. Kept, because checking an RSA key takes up to 70 ms."""
    jwt = import_extra("jwt", spec.SignedToken.extra)
    return jwt.get_algorithm_by_name(algorithm).prepare_key(key)


@auth_kind(spec.JwtAuth)
class Jwt(FetchedAuth):
    """A signed JWT as the bearer token."""

    def __init__(self, model: spec.JwtAuth) -> None:
        super().__init__(model.renew_if)
        self._signed = SignedJwt(model)

    def _credentials(self, scope: Scope) -> Any:
        return self._signed.values(scope)

    async def _fetch(self, context: CallContext, login: Login) -> Grant:
        return Grant(self._signed.make(context.scope), self._signed.lifetime)


@auth_kind(spec.TokenAuth)
class Token(FetchedAuth):
    """A login request that returns the token."""

    def __init__(self, model: spec.TokenAuth) -> None:
        super().__init__(model.renew_if, model.save)
        self._plan = compile_request(model.request)
        self._token_path = compile_extraction(model.token)
        self._expires_in = compile_extraction(model.expires_in)
        self._header = compile_text(model.header)
        self._prefix = compile_text(model.prefix)
        self._jwt = if_given(SignedJwt, model.jwt)
        self._json = strongest(map(needed_by, (self._token_path, self._expires_in)))
        # The credentials are what the login sends and reads: secrets, config and environment variables.
        used = names_of(self._plan, self._token_path, self._expires_in)
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

    async def _fetch(self, context: CallContext, login: Login) -> Grant:
        scope = context.scope
        if self._jwt is not None:
            scope = scope.with_names(jwt=self._jwt.make(scope))
            context.add_secret(scope.jwt)
        response = await login(context, self._plan, scope, json=self._json)
        read = scope.with_response(response)
        token = required_token(self._token_path.first(read), response, context)
        return self._grant(token, lifetime_of(self._expires_in.first(read)), scope, response)

    def _headers(self, token: str, context: CallContext) -> dict[str, str]:
        prefix = self._prefix.evaluate(context.scope)
        return token_header(token, as_text(self._header.evaluate(context.scope)), as_text(prefix or ""))
