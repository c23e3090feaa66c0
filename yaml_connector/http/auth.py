"""Credentials (section 4, auth): one class for each kind, and one line in the table at the end.

An `Auth` signs a request that is ready to be sent. Where a token has to be fetched first, `TokenCache` fetches it once
for all who wait, keeps it until shortly before it expires, and forgets it after a 401. Tokens of different credentials
never mix: they are kept under the credentials' own values.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import importlib
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote

from yaml_connector.clock import clock
from yaml_connector.errors import ConfigError, Passing, ValueProblem
from yaml_connector.http.answer import Answer, AnswerScope
from yaml_connector.http.hosts import parse_url
from yaml_connector.http.request import RequestPlan, add_query, compile_request, header_map
from yaml_connector.http.transport import WireRequest
from yaml_connector.spec import connection as spec
from yaml_connector.spec.requests import Request
from yaml_connector.values.expressions import Scope
from yaml_connector.values.extractions import compile_extraction
from yaml_connector.values.filters import as_text
from yaml_connector.values.templates import Value, compile_text, compile_tree

_EARLY = 60.0  # seconds before its end that a token is renewed, at most a quarter of its life
_MOST_TOKENS = 10_000

Fetch = Callable[[RequestPlan, Scope], Awaitable[Answer]]
Learn = Callable[[str], None]


class AuthCall(Protocol):
    """What an auth is given besides the request: how to send a login, and where to tell a new secret."""

    async def login(self, plan: RequestPlan, scope: Scope, *, needs_json: bool = True) -> Answer:
        """Send a login request, without credentials of its own; its failures are raised."""

    def redact(self, text: str) -> str:
        """The text without any secret."""

    def learn(self, secret: str) -> None:
        """From here on this value is a secret, too."""


class Auth(Protocol):
    """Puts credentials on requests."""

    async def sign(self, request: WireRequest, scope: Scope, call: AuthCall) -> None:
        """Add the credentials to a request that is otherwise complete."""

    def forget(self, scope: Scope) -> bool:
        """The API did not take the credentials: fetch anew the next time. False: there is nothing to fetch."""


class _Static:
    def forget(self, scope: Scope) -> bool:
        return False


def _token_header(token: str, header: str = "Authorization", prefix: str = "Bearer") -> dict[str, str]:
    return header_map({header: f"{prefix} {token}" if prefix else token})


def _put(request: WireRequest, headers: dict[str, str]) -> None:
    """Set headers, in place of the request's own of the same name in any case."""
    names = {name.lower() for name in headers}
    request.headers = {name: text for name, text in request.headers.items() if name.lower() not in names} | headers


class Bearer(_Static):
    """`Authorization: Bearer TOKEN`."""

    def __init__(self, model: spec.BearerAuth) -> None:
        self._token = compile_text(model.token)

    async def sign(self, request: WireRequest, scope: Scope, call: AuthCall) -> None:
        token = self._token.evaluate(scope)
        if token is not None:
            _put(request, _token_header(as_text(token)))


class Basic(_Static):
    """HTTP basic authentication."""

    def __init__(self, model: spec.BasicAuth) -> None:
        self._username = compile_text(model.username)
        self._password = compile_text(model.password)

    async def sign(self, request: WireRequest, scope: Scope, call: AuthCall) -> None:
        username, password = self._username.evaluate(scope), self._password.evaluate(scope)
        if username is not None and password is not None:
            pair = basic_header(as_text(username), as_text(password), call.learn)
            _put(request, {"Authorization": pair})


def basic_header(username: str, password: str, learn: Learn) -> str:
    """The value of a basic Authorization header; the pair becomes a secret."""
    pair = base64.b64encode(f"{username}:{password}".encode()).decode()
    learn(pair)
    return f"Basic {pair}"


class ApiKey(_Static):
    """A key in a header or in the query."""

    def __init__(self, model: spec.ApiKeyAuth) -> None:
        self._name = compile_text(model.name)
        self._value = compile_text(model.value)
        self._in_query = model.place == "query"

    async def sign(self, request: WireRequest, scope: Scope, call: AuthCall) -> None:
        value = self._value.evaluate(scope)
        if value is None:
            return
        name = as_text(self._name.evaluate(scope))
        if self._in_query:
            request.url = add_query(request.url, {name: value})
        else:
            _put(request, header_map({name: value}))


class TokenCache:
    """Tokens by credentials. One fetch serves all who wait for it; a failed one is not kept."""

    def __init__(self) -> None:
        self._tokens: OrderedDict[str, tuple[Any, float]] = OrderedDict()
        self._fetching: dict[tuple[int, str], asyncio.Future[Any]] = {}

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
        return await asyncio.shield(under_way)

    async def _fetch(self, key: str, fetch: Callable[[], Awaitable[tuple[Any, float | None]]]) -> Any:
        token, lifetime = await fetch()
        life = float("inf") if lifetime is None else max(0.0, lifetime - min(_EARLY, lifetime / 4))
        self._tokens[key] = (token, clock().time() + life)
        while len(self._tokens) > _MOST_TOKENS:
            self._tokens.popitem(last=False)
        return token

    def forget(self, key: str) -> None:
        """Fetch anew the next time."""
        self._tokens.pop(key, None)


def _credentials_key(scope: Scope, values: Any) -> str:
    """What tells one token from another: the credentials, and the place (which config may choose) that they are for."""
    text = json.dumps([scope["base_url"], values], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


class _Fetched:
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
            call.learn(token)
        return token

    def forget(self, scope: Scope) -> bool:
        credentials = self._credentials(scope)
        if credentials is not None:
            self._cache.forget(_credentials_key(scope, credentials))
        return credentials is not None

    async def sign(self, request: WireRequest, scope: Scope, call: AuthCall) -> None:
        token = await self._token(scope, call)
        if token is not None:
            _put(request, _token_header(as_text(token)))


def _evaluate(values: dict[str, Value], scope: Scope) -> dict[str, Any]:
    return {name: value.evaluate(scope) for name, value in values.items()}


def _lifetime(value: Any) -> float | None:
    if value is None:
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


def _need_token(token: Any, answer: Answer, call: AuthCall) -> str:
    if token is None or token == "":
        message = f"{answer.method} {answer.url} answered {answer.status} without a token"
        raise Passing(call.redact(message), arrived=False)
    return as_text(token)


class ClientCredentials(_Fetched):
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
                {"method": "POST", "url": "${{ token_url }}", "headers": "${{ headers }}", "form": "${{ form }}"}
            )
        )

    def _credentials(self, scope: Scope) -> Any:
        values = _evaluate(self._fields, scope)
        return None if values["client_id"] is None or values["client_secret"] is None else values

    async def _fetch(self, scope: Scope, call: AuthCall) -> tuple[Any, float | None]:
        values = self._credentials(scope)
        form: dict[str, Any] = {"grant_type": "client_credentials"}
        headers = {"Accept": "application/json"}
        client_id, secret = as_text(values["client_id"]), as_text(values["client_secret"])
        if self._basic:
            headers["Authorization"] = basic_header(quote(client_id, safe=""), quote(secret, safe=""), call.learn)
        else:
            form |= {"client_id": client_id, "client_secret": secret}
        scopes = values["scopes"]
        if scopes:
            form["scope"] = " ".join(map(as_text, scopes)) if isinstance(scopes, list) else as_text(scopes)
        form |= values["params"] or {}
        login = {"token_url": values["token_url"], "headers": headers, "form": form}
        answer = await call.login(self._plan, login)
        body = answer.body if isinstance(answer.body, dict) else {}
        return _need_token(body.get("access_token"), answer, call), _lifetime(body.get("expires_in"))


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
        """A token that is valid from now on; raises ValueProblem if the key does not fit."""
        jwt = need("jwt", "jwt")
        values = self.values(scope)
        if values is None:
            raise ValueProblem("the key of the JWT is missing")
        now = int(clock().time())
        claims = {"iat": now, "exp": now + int(self._model.lifetime), **(values["claims"] or {})}
        headers = {"kid": as_text(values["key_id"])} if values["key_id"] is not None else None
        try:
            return str(jwt.encode(claims, values["key"], algorithm=self._model.algorithm, headers=headers))
        except Exception as error:  # its kinds are many, and a message may quote the key
            raise ValueProblem(
                f"the JWT cannot be signed with {self._model.algorithm} and this key ({type(error).__name__})"
            ) from None

    @property
    def lifetime(self) -> float:
        return self._model.lifetime


class Jwt(_Fetched):
    """A signed JWT as the bearer token."""

    def __init__(self, model: spec.JwtAuth) -> None:
        super().__init__()
        self._signed = SignedJwt(model)

    def _credentials(self, scope: Scope) -> Any:
        return self._signed.values(scope)

    async def _fetch(self, scope: Scope, call: AuthCall) -> tuple[Any, float | None]:
        return self._signed.make(scope), self._signed.lifetime


class Token(_Fetched):
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
            value = scope[str(name[0])] if len(name) == 1 else scope[str(name[0])].get(name[1])
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
        login = dict(scope)
        if self._jwt is not None:
            login["jwt"] = self._jwt.make(scope)
            call.learn(login["jwt"])
        answer = await call.login(self._plan, login, needs_json=self._token_path.is_path)
        read = AnswerScope(scope, answer)
        return _need_token(self._token_path.first(read), answer, call), _lifetime(self._expires_in.first(read))

    async def sign(self, request: WireRequest, scope: Scope, call: AuthCall) -> None:
        token = await self._token(scope, call)
        if token is not None:
            header, prefix = as_text(self._header.evaluate(scope)), self._prefix.evaluate(scope)
            _put(request, _token_header(as_text(token), header, as_text(prefix or "")))


class SigV4(_Static):
    """AWS signature version 4, by botocore's signer and its own chain of credentials."""

    def __init__(self, model: spec.SigV4Auth) -> None:
        need("botocore.auth", "aws")
        names = ("service", "region", "access_key_id", "secret_access_key", "session_token")
        self._fields = {name: compile_text(value) for name in names if (value := getattr(model, name)) is not None}
        self._chain: Any = None

    async def sign(self, request: WireRequest, scope: Scope, call: AuthCall) -> None:
        values = _evaluate(self._fields, scope)
        target = parse_url(request.url)
        service, region = aws_host(target.host)
        service, region = values.get("service") or service, values.get("region") or region
        if not service or not region:
            raise ValueProblem(f"aws_sigv4: name service and region, the host {target.host} does not tell them")
        credentials = await self._keys(values)
        for secret in (credentials.secret_key, credentials.token):
            if secret:
                call.learn(secret)
        if callable(request.body):
            raise ValueProblem("aws_sigv4 cannot sign a streamed body")
        auth_module, request_module = need("botocore.auth", "aws"), need("botocore.awsrequest", "aws")
        kind = auth_module.S3SigV4Auth if service == "s3" else auth_module.SigV4Auth
        signed = request_module.AWSRequest(
            method=request.method,
            url=request.url.partition("?")[0],
            data=request.body or b"",
            headers=dict(request.headers),
        )
        query = request.url.partition("?")[2]
        signed.params = parse_qsl(query, keep_blank_values=True)
        kind(credentials, service, region).add_auth(signed)
        request.headers = {name: str(value) for name, value in signed.headers.items()}

    async def _keys(self, values: dict[str, Any]) -> Any:
        module = need("botocore.credentials", "aws")
        if values.get("access_key_id") is not None and values.get("secret_access_key") is not None:
            return module.Credentials(
                as_text(values["access_key_id"]), as_text(values["secret_access_key"]), values.get("session_token")
            )
        if self._chain is None:
            session = need("botocore.session", "aws").Session()
            self._chain = await asyncio.to_thread(session.get_credentials)
        if self._chain is None:
            raise ValueProblem("aws_sigv4: there are no keys in the spec, and botocore's own chain finds none")
        return await asyncio.to_thread(self._chain.get_frozen_credentials)


def aws_host(host: str) -> tuple[str | None, str | None]:
    """Service and region that a host `SERVICE.REGION.amazonaws.com` names."""
    labels = host.removesuffix(".cn").removesuffix(".amazonaws.com").split(".")
    if not host.removesuffix(".cn").endswith(".amazonaws.com") or len(labels) < 2:
        return None, None
    service, region = labels[-2], labels[-1]
    return {"email": "ses"}.get(service, service), region


class Google(_Fetched):
    """A Google access token, by google-auth: a service account's key, or its default credentials."""

    def __init__(self, model: spec.GoogleAuth) -> None:
        super().__init__()
        need("google.auth", "google")
        self._key = compile_text(model.key) if model.key is not None else None
        self._scopes = compile_tree(model.scopes) if model.scopes is not None else None

    def _credentials(self, scope: Scope) -> Any:
        key = self._key.evaluate(scope) if self._key else ""
        return None if key is None else {"key": key, "scopes": self._scopes.evaluate(scope) if self._scopes else None}

    async def _fetch(self, scope: Scope, call: AuthCall) -> tuple[Any, float | None]:
        values = self._credentials(scope)
        scopes = values["scopes"] or ["https://www.googleapis.com/auth/cloud-platform"]
        scopes = scopes if isinstance(scopes, list) else [scopes]
        if values["key"]:
            return await self._service_account(values["key"], scopes, call)
        auth, requests = need("google.auth", "google"), need("google.auth.transport.requests", "google")

        def default() -> tuple[str, float | None]:
            credentials, _ = auth.default(scopes=scopes)
            credentials.refresh(requests.Request())
            life = (credentials.expiry.timestamp() - clock().time()) if credentials.expiry else None
            return credentials.token, life

        try:
            return await asyncio.to_thread(default)
        except Exception as error:
            raise Passing(f"google-auth gives no token: {error}", arrived=False) from None

    async def _service_account(self, key: Any, scopes: list[str], call: AuthCall) -> tuple[Any, float | None]:
        module, jwt = need("google.oauth2.service_account", "google"), need("google.auth.jwt", "google")
        try:
            info = json.loads(key) if isinstance(key, str) else dict(key)
            credentials = module.Credentials.from_service_account_info(info, scopes=scopes)
            now = int(clock().time())
            claims = {
                "iss": credentials.service_account_email,
                "scope": " ".join(scopes),
                "aud": info["token_uri"],
                "iat": now,
                "exp": now + 3600,
            }
            assertion = jwt.encode(credentials.signer, claims).decode()
        except Exception as error:  # its kinds are many, and a message may quote the key
            raise ValueProblem(
                f"the key is no service account's JSON that google-auth takes ({type(error).__name__})"
            ) from None
        call.learn(assertion)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        answer = await call.login(_GOOGLE_LOGIN, {"token_url": info["token_uri"], "form": form})
        body = answer.body if isinstance(answer.body, dict) else {}
        return _need_token(body.get("access_token"), answer, call), _lifetime(body.get("expires_in"))


_GOOGLE_LOGIN = compile_request(
    Request.model_validate({"method": "POST", "url": "${{ token_url }}", "form": "${{ form }}"})
)


def need(module: str, extra: str) -> Any:
    """Import a library of an extra, or say how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        raise ConfigError(f"this spec's auth needs a library: pip install 'yaml-connector[{extra}]'") from None


_KINDS: dict[type[Any], Callable[[Any], Auth]] = {
    spec.BearerAuth: Bearer,
    spec.BasicAuth: Basic,
    spec.ApiKeyAuth: ApiKey,
    spec.ClientCredentialsAuth: ClientCredentials,
    spec.TokenAuth: Token,
    spec.JwtAuth: Jwt,
    spec.SigV4Auth: SigV4,
    spec.GoogleAuth: Google,
}


def compile_auth(model: Any) -> Auth | None:
    """The auth that a spec asks for; raises ConfigError if its library is missing."""
    return _KINDS[type(model)](model) if model is not None else None
