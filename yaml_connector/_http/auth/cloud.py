"""Credentials of cloud providers: AWS signatures by botocore, Google access tokens by google-auth."""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

from yaml_connector._clock import clock
from yaml_connector._expressions.compile import compile_text, compile_tree, if_given
from yaml_connector._expressions.json_text import as_text
from yaml_connector._expressions.scope import Scope
from yaml_connector._http.auth.base import Auth, Login, auth_kind
from yaml_connector._http.auth.token_cache import Grant
from yaml_connector._http.auth.tokens import FetchedAuth, evaluate_all, post_form, token_of
from yaml_connector._http.context import CallContext
from yaml_connector._http.extras import import_extra
from yaml_connector._http.files import StreamedBody
from yaml_connector._http.hosts import parse_url
from yaml_connector._http.messages import HttpRequest
from yaml_connector._spec import auth as spec
from yaml_connector.errors import EvaluationError, TransientError


@auth_kind(spec.SigV4Auth)
class SigV4(Auth):
    """AWS signature version 4, by botocore's signer; without keys in the spec, by botocore's credential chain."""

    def __init__(self, model: spec.SigV4Auth) -> None:
        import_extra("botocore.auth", spec.SigV4Auth.extra)
        # At debug level botocore logs what it signs: every header, also the session token.
        logging.getLogger("botocore.auth").addFilter(_above_debug)
        names = ("service", "region", "access_key_id", "secret_access_key", "session_token")
        self._fields = {name: compile_text(value) for name in names if (value := getattr(model, name)) is not None}
        self._chain: Any = None

    async def sign(self, request: HttpRequest, context: CallContext, login: Login) -> None:
        values = evaluate_all(self._fields, context.scope)
        target = parse_url(request.url)
        service, region = aws_host(target.host)
        service, region = values.get("service") or service, values.get("region") or region
        if not service or not region:
            raise EvaluationError(f"aws_sigv4: set service and region; the host {target.host} does not name them")
        credentials = await self._keys(values)
        for secret in (credentials.secret_key, credentials.token):
            if secret:
                context.add_secret(secret)
        if isinstance(request.body, StreamedBody):
            raise EvaluationError("aws_sigv4 cannot sign a streamed body")
        auth_module = import_extra("botocore.auth", spec.SigV4Auth.extra)
        request_module = import_extra("botocore.awsrequest", spec.SigV4Auth.extra)
        kind = auth_module.S3SigV4Auth if service == "s3" else auth_module.SigV4Auth
        signed = request_module.AWSRequest(
            method=request.method,
            url=request.url.partition("?")[0],
            data=request.body or b"",
            headers=dict(request.headers),
        )
        query = request.url.partition("?")[2]
        signed.params = parse_qsl(query, keep_blank_values=True)
        _sign(kind(credentials, service, region), signed)
        request.headers = {name: str(value) for name, value in signed.headers.items()}

    async def _keys(self, values: dict[str, Any]) -> Any:
        module = import_extra("botocore.credentials", spec.SigV4Auth.extra)
        if values.get("access_key_id") is not None and values.get("secret_access_key") is not None:
            return module.Credentials(
                as_text(values["access_key_id"]), as_text(values["secret_access_key"]), values.get("session_token")
            )
        if self._chain is None:
            session = import_extra("botocore.session", spec.SigV4Auth.extra).Session()
            self._chain = await asyncio.to_thread(session.get_credentials)
        if self._chain is None:
            raise EvaluationError("aws_sigv4: the spec has no keys, and botocore's credential chain finds none")
        return await asyncio.to_thread(self._chain.get_frozen_credentials)


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def _sign(signer: Any, request: Any) -> None:
    """Sign a request as the signer's `add_auth` does, but with the time of the clock in force."""
    moment = datetime.fromtimestamp(clock().time(), UTC)
    request.context["timestamp"] = moment.strftime("%Y%m%dT%H%M%SZ")
    signer._modify_request_before_signing(request)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    signer._inject_signature_to_request(request, signer.signature(text, request))


def aws_host(host: str) -> tuple[str | None, str | None]:
    """Return the service and region that a host `SERVICE.REGION.amazonaws.com` names; None for what it does not."""
    labels = host.removesuffix(".cn").removesuffix(".amazonaws.com").split(".")
    if not host.removesuffix(".cn").endswith(".amazonaws.com") or len(labels) < 2:
        return None, None
    service, region = labels[-2], labels[-1]
    return {"email": "ses"}.get(service, service), region


@auth_kind(spec.GoogleAuth)
class Google(FetchedAuth):
    """A Google access token, by google-auth: a service account's key, or its default credentials."""

    def __init__(self, model: spec.GoogleAuth) -> None:
        super().__init__(model.renew_if)
        import_extra("google.auth", spec.GoogleAuth.extra)
        self._key = if_given(compile_text, model.key)
        self._scopes = if_given(compile_tree, model.scopes)

    def _credentials(self, scope: Scope) -> Any:
        key = self._key.evaluate(scope) if self._key else ""
        return None if key is None else {"key": key, "scopes": self._scopes.evaluate(scope) if self._scopes else None}

    async def _fetch(self, context: CallContext, login: Login) -> Grant:
        values = self._credentials(context.scope)
        scopes = values["scopes"] or ["https://www.googleapis.com/auth/cloud-platform"]
        scopes = scopes if isinstance(scopes, list) else [scopes]
        if values["key"]:
            return await self._service_account(values["key"], scopes, context, login)
        auth = import_extra("google.auth", spec.GoogleAuth.extra)
        requests = import_extra("google.auth.transport.requests", spec.GoogleAuth.extra)

        def default() -> tuple[str, float | None]:
            credentials, _ = auth.default(scopes=scopes)
            with import_extra("requests", spec.GoogleAuth.extra).Session() as session:
                session.auth = lambda request: request  # keeps requests from reading .netrc
                proxies = context.connection.proxies
                if proxies.of_spec:
                    session.trust_env = False
                    session.proxies = {"all": proxies.of(_METADATA[0]), **dict.fromkeys(_METADATA)}
                credentials.refresh(requests.Request(session))
            life = (credentials.expiry.timestamp() - clock().time()) if credentials.expiry else None
            return credentials.token, life

        try:
            return Grant(*await asyncio.to_thread(default))
        except Exception as error:
            raise TransientError(f"google-auth returned no token: {error}", may_have_been_processed=False) from None

    async def _service_account(self, key: Any, scopes: list[str], context: CallContext, login: Login) -> Grant:
        jwt = import_extra("google.auth.jwt", spec.GoogleAuth.extra)
        try:
            credentials, token_uri = _credentials_of(key if isinstance(key, str) else json.dumps(key))
            now = int(clock().time())
            claims = {
                "iss": credentials.service_account_email,
                "scope": " ".join(scopes),
                "aud": token_uri,
                "iat": now,
                "exp": now + 3600,
            }
            assertion = jwt.encode(credentials.signer, claims).decode()
        except Exception as error:  # google-auth raises many types, and messages may contain the key
            raise EvaluationError(
                f"the key is not a service account's JSON that google-auth accepts ({type(error).__name__})"
            ) from None
        context.add_secret(assertion)
        form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": assertion}
        response = await post_form(login, context, token_uri, {}, form)
        return Grant(*token_of(response, context))


@lru_cache(maxsize=16)
def _credentials_of(key: str) -> tuple[Any, str]:
    """Return the credentials of a service account, and where it logs in. Kept, because checking an RSA key takes up to
    70 ms."""
    module = import_extra("google.oauth2.service_account", spec.GoogleAuth.extra)
    info = json.loads(key)
    return module.Credentials.from_service_account_info(info), info["token_uri"]


# Google's servers for the credentials of a machine, which no proxy can reach
_METADATA = ("http://metadata.google.internal", "http://169.254.169.254")
