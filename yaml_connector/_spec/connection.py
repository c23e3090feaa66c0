"""The connection: where requests go, with which credentials, and how failures are met (section 4)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from yaml_connector._spec.fields import Condition, Duration, Extract, Model, Size, Text, Tree, TreeMap, UrlText
from yaml_connector._spec.requests import Request


class BearerAuth(Model):
    """`Authorization: Bearer TOKEN`."""

    type: Literal["bearer"]
    token: Annotated[Text, Field(description="The token.")]


class BasicAuth(Model):
    """HTTP basic authentication."""

    type: Literal["basic"]
    username: Annotated[Text, Field(description="The user's name.")]
    password: Annotated[Text, Field(description="The password.")]


class ApiKeyAuth(Model):
    """A key in a header or in the query."""

    type: Literal["api_key"]
    name: Annotated[Text, Field(description="The header's or parameter's name.")]
    place: Annotated[Literal["header", "query"], Field(alias="in", description="Where the key goes.")]
    value: Annotated[Text, Field(description="The key.")]


class ClientCredentialsAuth(Model):
    """OAuth 2 client credentials: a token is fetched first."""

    type: Literal["oauth2_client_credentials"]
    token_url: Annotated[Text, Field(description="Where the token is fetched.")]
    client_id: Annotated[Text, Field(description="The client's id.")]
    client_secret: Annotated[Text, Field(description="The client's secret.")]
    scopes: Annotated[Tree, Field(description="A list of scopes, or one text.")] = None
    params: Annotated[TreeMap | None, Field(description="Further parameters of the token request.")] = None
    send_as: Annotated[Literal["basic", "body"], Field(description="How id and secret are sent.")] = "basic"


class SignedToken(Model):
    """A signed JWT: `iat` and `exp` are added to its claims."""

    algorithm: Annotated[str, Field(description="RS256, ES256, HS256 ...")] = "RS256"
    key: Annotated[Text, Field(description="The private key in PEM, or the shared secret.")]
    key_id: Annotated[Text | None, Field(description="`kid` of the header.")] = None
    claims: Annotated[TreeMap, Field(description="The claims.")] = Field(default_factory=dict)
    lifetime: Annotated[Duration, Field(description="`exp` is this long after `iat`.")] = 3600.0


class TokenAuth(Model):
    """Log in first: a request gives the token."""

    type: Literal["token"]
    request: Annotated[Request, Field(description="The login request.")]
    token: Annotated[Extract, Field(description="Where the token stands in the answer.")]
    expires_in: Annotated[Extract, Field(description="Its lifetime in seconds; without: until a 401.")] = None
    header: Annotated[Text, Field(description="The header that carries the token.")] = "Authorization"
    prefix: Annotated[Text, Field(description="What stands before the token in the header.")] = "Bearer"
    jwt: Annotated[SignedToken | None, Field(description="A signed JWT for the request: `${{ jwt }}`.")] = None


class JwtAuth(SignedToken):
    """A signed JWT as the bearer token."""

    type: Literal["jwt"]


class SigV4Auth(Model):
    """AWS signature version 4, by botocore's signer."""

    type: Literal["aws_sigv4"]
    service: Annotated[Text | None, Field(description="Default: the one in the host.")] = None
    region: Annotated[Text | None, Field(description="Default: the one in the host.")] = None
    access_key_id: Annotated[Text | None, Field(description="Without keys: botocore's own chain.")] = None
    secret_access_key: Annotated[Text | None, Field(description="Without keys: botocore's own chain.")] = None
    session_token: Annotated[Text | None, Field(description="Of temporary keys.")] = None


class GoogleAuth(Model):
    """A Google access token, by google-auth."""

    type: Literal["google"]
    scopes: Annotated[Tree, Field(description="OAuth scopes; default: cloud-platform.")] = None
    key: Annotated[Text | None, Field(description="A service account's JSON; default: its own chain.")] = None


Auth = Annotated[
    BearerAuth | BasicAuth | ApiKeyAuth | ClientCredentialsAuth | TokenAuth | JwtAuth | SigV4Auth | GoogleAuth,
    Field(discriminator="type"),
]


class Retry(Model):
    """How a request is sent again: full jitter, and `Retry-After` counts."""

    max_attempts: Annotated[int, Field(ge=1, le=100, description="Attempts in all.")] = 3
    initial_delay: Annotated[Duration, Field(description="The longest wait before the second attempt.")] = 0.2
    max_delay: Annotated[Duration, Field(description="The longest wait between two attempts.")] = 2.0
    status_codes: Annotated[list[Annotated[int, Field(ge=100, le=599)]], Field(description="Passing failures.")] = (
        Field(default_factory=lambda: [408, 425, 429, 500, 502, 503, 504])
    )


class RateLimit(Model):
    """This process sends no more than so many requests in a time."""

    requests: Annotated[int, Field(ge=1, description="How many.")]
    per: Annotated[Duration, Field(description="In which time.")] = 1.0


class Tls(Model):
    """Trust and client certificates, as files in PEM."""

    ca_file: Annotated[Text | None, Field(description="Trusted authorities, instead of the system's.")] = None
    cert_file: Annotated[Text | None, Field(description="The client's certificate.")] = None
    key_file: Annotated[Text | None, Field(description="The client's key.")] = None
    verify: Annotated[bool, Field(description="false trusts anybody: for tests only.")] = True


class Connection(Model):
    """Where requests go, with which credentials, and how failures are met."""

    base_url: Annotated[UrlText, Field(description="What `path` is appended to; may use env and config.")]
    allowed_hosts: Annotated[list[Text] | None, Field(description="Further hosts a request may go to.")] = None
    public_hosts: Annotated[list[Text], Field(description="Hosts that are read without credentials.")] = Field(
        default_factory=list
    )
    headers: Annotated[TreeMap | None, Field(description="Sent with every request to base_url's host.")] = None
    query: Annotated[TreeMap | None, Field(description="Sent with every request to base_url's host.")] = None
    auth: Annotated[Auth | None, Field(description="Credentials for base_url's host and allowed_hosts.")] = None
    check: Annotated[Request | None, Field(description="The request of `yaml-connector check`.")] = None
    timeout: Annotated[Duration, Field(description="One attempt.")] = 5.0
    retry: Annotated[Retry, Field(description="How a request is sent again.")] = Field(default_factory=Retry)
    retry_if: Annotated[Condition | None, Field(description="True of an answer: as a 503.")] = None
    error_message: Annotated[Extract, Field(description="The API's own words in a failure.")] = None
    deadline: Annotated[Duration, Field(gt=0, description="All that one call of Flyte's may take.")] = 9.0
    rate_limit: Annotated[RateLimit | None, Field(description="This process sends no more.")] = None
    max_connections: Annotated[int, Field(ge=1, description="Open at once.")] = 100
    max_response: Annotated[Size, Field(description="After decompression; a longer answer is an error.")] = 10 * 2**20
    tls: Annotated[Tls, Field(description="Trust and client certificates.")] = Field(default_factory=Tls)
    follow_redirects: Annotated[bool, Field(description="Follow redirects, each host checked.")] = False

    @model_validator(mode="before")
    @classmethod
    def _no_auth(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("auth") in (False, "none", {"type": "none"}):
            return {key: item for key, item in value.items() if key != "auth"}
        return value
