"""Kinds of credentials: a model for each, with everything else that is said or written about it.

A new kind is a model here, in `Auth` below, and its runtime class in `_http/auth/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field

from yaml_connector._spec.fields import (
    Condition,
    Duration,
    Extract,
    GivenExtract,
    LinkText,
    Model,
    Name,
    Text,
    Tree,
    TreeMap,
    short_form,
)
from yaml_connector._spec.requests import Request


@dataclass(frozen=True)
class AuthExample:
    """What `new` writes for a kind of credentials: the auth of the spec, and the login of its contract test.

    In the texts of `auth` `<base_url>` is the spec's base URL, and `<name>` the value that a source, else `defaults`,
    has under that name. `secrets` are names, each with what tests generate for it (None: nothing); `hosts` are further
    allowed hosts; `login` is the response to the request that fetches the token.
    """

    auth: Mapping[str, Any]
    secrets: Mapping[str, str | None]
    defaults: Mapping[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    login: Mapping[str, Any] | None = None


class AuthModel(Model):
    """The base of all kinds: `words` name it for people, `extra` is the pip extra that has its library."""

    words: ClassVar[str]
    extra: ClassVar[str | None] = None
    example: ClassVar[AuthExample]

    def masked_headers(self, mask: str) -> dict[str, str]:
        """Return the headers that carry the credentials, with `mask` in place of the secret part."""
        return {"Authorization": f"Bearer {mask}"}

    def masked_query(self, mask: str) -> dict[str, str]:
        """Return the query parameters that carry the credentials, with `mask` in place of the secret."""
        return {}

    @property
    def login_request(self) -> str | None:
        """The request that fetches the token, in words; None if the kind sends none of its own."""
        return None


RenewIf = Annotated[
    Condition | None,
    Field(
        description="If true for the response to a request that carried the token, a new token is fetched, and the "
        "request is sent once more. Default: `status == 401`."
    ),
]


class SavedValue(Model):
    """A value from a login's response. Short form: only the extraction."""

    value: Annotated[Extract, Field(description="Where the value is in the response.")]
    sensitive: Annotated[bool, Field(description="Mask the value in messages and logs, as a secret.")] = True

    _short = short_form("value")


LoginSave = Annotated[
    dict[Name, SavedValue] | None,
    Field(description="Values of the login's response, kept as long as the token, for requests: `auth.NAME`."),
]

_KEY = {"api_key": None}
_USER = {"username": None, "password": None}
_SENT_USER = {name: f"${{{{ secrets.{name} }}}}" for name in _USER}
_LOGIN = {"access_token": "test-token", "expires_in": 3600}


class BearerAuth(AuthModel):
    """`Authorization: Bearer TOKEN`."""

    words = "a bearer token"
    example = AuthExample({"type": "bearer", "token": "${{ secrets.api_key }}"}, _KEY)

    type: Literal["bearer"]
    token: Annotated[Text, Field(description="The token.")]


class BasicAuth(AuthModel):
    """HTTP basic authentication."""

    words = "a user name and a password"
    example = AuthExample({"type": "basic", **_SENT_USER}, _USER)

    type: Literal["basic"]
    username: Annotated[Text, Field(description="The user name.")]
    password: Annotated[Text, Field(description="The password.")]

    def masked_headers(self, mask: str) -> dict[str, str]:
        return {"Authorization": f"Basic {mask}"}


class ApiKeyAuth(AuthModel):
    """An API key in a header or in the query."""

    words = "an API key"
    example = AuthExample(
        {"type": "api_key", "in": "<in>", "name": "<name>", "value": "${{ secrets.api_key }}"},
        _KEY,
        {"in": "header", "name": "X-API-Key"},
    )

    type: Literal["api_key"]
    name: Annotated[Text, Field(description="The name of the header or query parameter.")]
    place: Annotated[Literal["header", "query"], Field(alias="in", description="Where the key is sent.")]
    value: Annotated[Text, Field(description="The key.")]

    def masked_headers(self, mask: str) -> dict[str, str]:
        return {self.name: mask} if self.place == "header" else {}

    def masked_query(self, mask: str) -> dict[str, str]:
        return {self.name: mask} if self.place == "query" else {}


class ClientCredentialsAuth(AuthModel):
    """OAuth 2 client credentials: a token is fetched first."""

    words = "an OAuth 2 token, fetched with client credentials"
    example = AuthExample(
        {
            "type": "oauth2_client_credentials",
            "token_url": "<token_url>",
            "client_id": "${{ secrets.client_id }}",
            "client_secret": "${{ secrets.client_secret }}",
        },
        {"client_id": None, "client_secret": None},
        {"token_url": "<base_url>/oauth/token"},
        login=_LOGIN,
    )

    type: Literal["oauth2_client_credentials"]
    token_url: Annotated[LinkText, Field(description="The URL of the token endpoint.")]
    client_id: Annotated[Text, Field(description="The client id.")]
    client_secret: Annotated[Text, Field(description="The client secret.")]
    scopes: Annotated[Tree, Field(description="A list of scopes, or one string.")] = None
    params: Annotated[TreeMap | None, Field(description="Further parameters of the token request.")] = None
    send_as: Annotated[
        Literal["basic", "body"],
        Field(description="How client id and secret are sent: in a basic auth header, or in the body."),
    ] = "basic"
    renew_if: RenewIf = None
    save: LoginSave = None

    @property
    def login_request(self) -> str:
        return f"POST {self.token_url}"


class SignedToken(Model):
    """A signed JWT: `iat` and `exp` are added to its claims."""

    extra: ClassVar[str | None] = "jwt"

    algorithm: Annotated[str, Field(description="The signature algorithm: RS256, ES256, HS256 ...")] = "RS256"
    key: Annotated[Text, Field(description="The private key in PEM, or the shared secret.")]
    key_id: Annotated[Text | None, Field(description="The `kid` of the JWT's header.")] = None
    claims: Annotated[TreeMap, Field(description="The claims.")] = Field(default_factory=dict)
    lifetime: Annotated[Duration, Field(description="The time from `iat` to `exp`.")] = 3600.0


class TokenAuth(AuthModel):
    """Log in first: a request returns the token."""

    words = "a token from a login"
    extra = SignedToken.extra
    example = AuthExample(
        {
            "type": "token",
            "request": {"method": "POST", "path": "<login>", "json": _SENT_USER},
            "token": "$.token",
        },
        _USER,
        {"login": "/login"},
        login={"token": "test-token"},
    )

    type: Literal["token"]
    request: Annotated[Request, Field(description="The login request.", examples=["POST /login"])]
    token: Annotated[GivenExtract, Field(description="Where the token is in the response.")]
    expires_in: Annotated[
        Extract,
        Field(description="The token's lifetime in seconds. Without it, the token is used until `renew_if` is true."),
    ] = None
    header: Annotated[Text, Field(description="The header that carries the token.")] = "Authorization"
    prefix: Annotated[Text, Field(description="The word before the token in the header.")] = "Bearer"
    jwt: Annotated[
        SignedToken | None, Field(description="A signed JWT, which the login request can send as `${{ jwt }}`.")
    ] = None
    renew_if: RenewIf = None
    save: LoginSave = None

    def masked_headers(self, mask: str) -> dict[str, str]:
        return {self.header: f"{self.prefix} {mask}".strip()}

    @property
    def login_request(self) -> str:
        return f"{self.request.method or 'GET'} {self.request.path or self.request.url}"


class JwtAuth(SignedToken, AuthModel):
    """A signed JWT as the bearer token."""

    words = "a signed JWT"
    example = AuthExample(
        {
            "type": "jwt",
            "algorithm": "RS256",
            "key": "${{ secrets.private_key }}",
            "claims": {"iss": "my-client"},
        },
        {"private_key": "rsa"},
    )

    type: Literal["jwt"]
    renew_if: RenewIf = None


class SigV4Auth(AuthModel):
    """AWS signature version 4, made by botocore."""

    words = "an AWS signature (version 4)"
    extra = "aws"
    example = AuthExample(
        {
            "type": "aws_sigv4",
            "service": "<service>",
            "region": "<region>",
            "access_key_id": "${{ secrets.access_key_id }}",
            "secret_access_key": "${{ secrets.secret_access_key }}",
        },
        {"access_key_id": None, "secret_access_key": None},
        {"service": "execute-api", "region": "eu-central-1"},
    )

    type: Literal["aws_sigv4"]
    service: Annotated[Text | None, Field(description="The AWS service. Default: the one in the host name.")] = None
    region: Annotated[Text | None, Field(description="The AWS region. Default: the one in the host name.")] = None
    access_key_id: Annotated[
        Text | None,
        Field(description="The access key. Without keys, botocore looks for them: environment, profile, role."),
    ] = None
    secret_access_key: Annotated[Text | None, Field(description="The secret key that belongs to it.")] = None
    session_token: Annotated[Text | None, Field(description="The session token of temporary keys.")] = None

    def masked_headers(self, mask: str) -> dict[str, str]:
        return {"Authorization": mask}


class GoogleAuth(AuthModel):
    """A Google access token, fetched by google-auth."""

    words = "a Google access token"
    extra = "google"
    example = AuthExample(
        {"type": "google", "key": "${{ secrets.service_account }}"},
        {"service_account": "google_service_account"},
        hosts=("oauth2.googleapis.com",),
        login=_LOGIN,
    )

    type: Literal["google"]
    scopes: Annotated[Tree, Field(description="OAuth scopes. Default: cloud-platform.")] = None
    key: Annotated[
        Text | None,
        Field(description="The JSON of a service account's key. Default: the credentials that google-auth finds."),
    ] = None
    renew_if: RenewIf = None


Auth = Annotated[
    BearerAuth | BasicAuth | ApiKeyAuth | ClientCredentialsAuth | TokenAuth | JwtAuth | SigV4Auth | GoogleAuth,
    Field(discriminator="type"),
]


def _by_type() -> dict[str, type[Any]]:
    return {get_args(kind.model_fields["type"].annotation)[0]: kind for kind in get_args(get_args(Auth)[0])}


AUTH_KINDS: dict[str, type[AuthModel]] = _by_type()
"""The model of each kind, by its `type`."""
