"""The connection: where requests go, with which credentials, and how failures are handled."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from yaml_connector._spec.auth import Auth
from yaml_connector._spec.fields import Condition, Duration, Extract, Model, Size, Text, TreeMap, WholeUrlText
from yaml_connector._spec.requests import Request


class Retry(Model):
    """How a failed request is retried (delays are random), and where the API says how long to wait."""

    max_attempts: Annotated[int, Field(ge=1, le=100, description="The number of attempts, including the first.")] = 3
    initial_delay: Annotated[
        Duration, Field(description="The longest wait before the second attempt; it doubles with each further one.")
    ] = 0.2
    max_delay: Annotated[Duration, Field(description="The longest wait between two attempts.")] = 2.0
    status_codes: Annotated[
        list[Annotated[int, Field(ge=100, le=599)]], Field(description="The status codes to retry.")
    ] = Field(default_factory=lambda: [408, 425, 429, 500, 502, 503, 504])
    retry_after: Annotated[
        Extract,
        Field(
            description="How long to wait, if the API does not say it in `Retry-After`: seconds, epoch "
            "seconds, or a time. It is read from every response; if it is null, `Retry-After` "
            "counts.",
            examples=["${{ headers['x-ratelimit-reset'] if headers['x-ratelimit-remaining'] == '0' }}"],
        ),
    ] = None
    max_retry_after: Annotated[
        Duration, Field(description="The longest wait that a server may ask for; a longer one is cut.")
    ] = 300.0


class RateLimit(Model):
    """A limit on the requests that this process sends."""

    requests: Annotated[int, Field(ge=1, description="The number of requests.")]
    per: Annotated[Duration, Field(gt=0, description="The time in which they may be sent.")] = 1.0


class Tls(Model):
    """Trusted authorities and a client certificate, as files in PEM."""

    ca_file: Annotated[
        Text | None, Field(description="The certificates of trusted authorities. Default: the system's.")
    ] = None
    cert_file: Annotated[Text | None, Field(description="The client certificate.")] = None
    key_file: Annotated[Text | None, Field(description="The private key of the client certificate.")] = None
    verify: Annotated[
        bool, Field(description="If false, the server's certificate is not verified. Only for tests.")
    ] = True


class Connection(Model):
    """Where requests go, with which credentials, and how failures are handled."""

    base_url: Annotated[
        WholeUrlText, Field(description="The URL that each `path` is appended to. It can use `env` and `config`.")
    ]
    allowed_hosts: Annotated[list[Text] | None, Field(description="Further hosts that requests may go to.")] = None
    public_hosts: Annotated[
        list[Text],
        Field(description="Hosts that requests may go to without credentials, such as those of signed URLs."),
    ] = Field(default_factory=list)
    headers: Annotated[TreeMap | None, Field(description="Headers of every request to the host of base_url.")] = None
    query: Annotated[
        TreeMap | None, Field(description="Query parameters of every request to the host of base_url.")
    ] = None
    auth: Annotated[
        Auth | None, Field(description="The credentials, sent to the host of base_url and to allowed_hosts.")
    ] = None
    check: Annotated[Request | None, Field(description="The request that `yaml-connector check` makes.")] = None
    timeout: Annotated[Duration, Field(gt=0, description="The time for one attempt.")] = 5.0
    retry: Annotated[
        Retry,
        Field(
            description="How a failed request is retried (delays are random), and where the API says how long to wait."
        ),
    ] = Field(default_factory=Retry)
    retry_if: Annotated[
        Condition | None,
        Field(description="If true for a response that is not a success, it counts as a transient failure."),
    ] = None
    error_message: Annotated[Extract, Field(description="Where the API's error message is in a failed response.")] = (
        None
    )
    deadline: Annotated[
        Duration,
        Field(
            gt=0, description="The time for all requests and retries of one call from Flyte, which gives up after 10s."
        ),
    ] = 9.0
    rate_limit: Annotated[RateLimit | None, Field(description="A limit on the requests that this process sends.")] = (
        None
    )
    max_connections: Annotated[
        int, Field(ge=1, description="The most connections that are open at once to one host (scheme, name and port).")
    ] = 100
    proxy: Annotated[
        Text | None,
        Field(
            description="The URL of the proxy for every request, or `none`. Default: as `HTTPS_PROXY`, "
            "`HTTP_PROXY` and `NO_PROXY` in the connector's environment say. It can use `env`.",
            examples=["http://proxy.acme.com:3128", "none"],
        ),
    ] = None
    http2: Annotated[
        bool,
        Field(description="Speak HTTP/2 over TLS: many requests share one connection. It needs the extra `http2`."),
    ] = False
    max_response: Annotated[
        Size, Field(gt=0, description="The largest response, after decompression. A larger one is an error.")
    ] = 10 * 2**20
    tls: Annotated[Tls, Field(description="Trusted authorities and a client certificate.")] = Field(default_factory=Tls)
    follow_redirects: Annotated[bool, Field(description="Follow redirects to hosts that are allowed.")] = False

    @model_validator(mode="before")
    @classmethod
    def _no_auth(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("auth") in (False, "none", {"type": "none"}):
            return {key: item for key, item in value.items() if key != "auth"}
        return value
