"""The connection: where requests go, with which credentials, and how failures are met (section 4)."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from yaml_connector._spec.auth import Auth
from yaml_connector._spec.fields import Condition, Duration, Extract, Model, Size, Text, TreeMap, UrlText
from yaml_connector._spec.requests import Request


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
