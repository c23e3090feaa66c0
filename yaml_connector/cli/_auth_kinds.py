"""What `new` writes for each kind of credentials: the lines of the spec, and the login of its contract test."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class AuthKind:
    """A kind of credentials. In its texts `<base_url>` is the spec's base URL, and `<name>` what a draft's
    `auth_values`, else `defaults`, have under that name. `secrets`: names, each with the YAML of a value for tests."""

    about: str
    lines: tuple[str, ...] = ()
    secrets: tuple[tuple[str, str], ...] = ()
    defaults: tuple[tuple[str, str], ...] = ()
    hosts: tuple[str, ...] = ()
    login: tuple[str, ...] = ()

    def filled(self, lines: tuple[str, ...], values: dict[str, str]) -> list[str]:
        """Lines with every `<name>` replaced."""
        found = []
        for line in lines:
            for name, value in {**dict(self.defaults), **values}.items():
                line = line.replace(f"<{name}>", value)
            found.append(line)
        return found


_USER = (("username", "test-username"), ("password", "test-password"))
_KEY = (("api_key", "test-api_key"),)

AUTHS: dict[str, AuthKind] = {
    "none": AuthKind("no credentials"),
    "bearer": AuthKind(
        "a token in the header Authorization: Bearer",
        ('auth: {type: bearer, token: "${{ secrets.api_key }}"}',),
        _KEY,
    ),
    "basic": AuthKind(
        "user name and password",
        ('auth: {type: basic, username: "${{ secrets.username }}", password: "${{ secrets.password }}"}',),
        _USER,
    ),
    "api_key": AuthKind(
        "a key in a header or in the query",
        ('auth: {type: api_key, in: <in>, name: "<name>", value: "${{ secrets.api_key }}"}',),
        _KEY,
        (("in", "header"), ("name", "X-API-Key")),
    ),
    "oauth2": AuthKind(
        "OAuth 2 client credentials",
        (
            "auth:",
            "  type: oauth2_client_credentials",
            '  token_url: "<token_url>"',
            "  client_id: ${{ secrets.client_id }}",
            "  client_secret: ${{ secrets.client_secret }}",
        ),
        (("client_id", "test-client_id"), ("client_secret", "test-client_secret")),
        (("token_url", "<base_url>/oauth/token"),),
        login=(
            '- request: {method: POST, url: "<token_url>"}',
            "  response: {json: {access_token: test-token, expires_in: 3600}}",
        ),
    ),
    "token": AuthKind(
        "a login that answers with a token",
        (
            "auth:",
            "  type: token",
            "  request:",
            "    method: POST",
            "    path: <login>",
            '    json: {username: "${{ secrets.username }}", password: "${{ secrets.password }}"}',
            "  token: $.token",
        ),
        _USER,
        (("login", "/login"),),
        login=(
            "- request:",
            "    method: POST",
            '    url: "<base_url><login>"',
            "    json: {username: test-username, password: test-password}",
            "  response: {json: {token: test-token}}",
        ),
    ),
    "jwt": AuthKind(
        "a JWT that is signed with a private key",
        ('auth: {type: jwt, algorithm: RS256, key: "${{ secrets.private_key }}", claims: {iss: my-client}}',),
        (("private_key", "{generate: rsa}"),),
    ),
    "aws_sigv4": AuthKind(
        "an AWS signature",
        (
            "auth:",
            "  type: aws_sigv4",
            "  service: execute-api",
            "  region: eu-central-1",
            "  access_key_id: ${{ secrets.access_key_id }}",
            "  secret_access_key: ${{ secrets.secret_access_key }}",
        ),
        (("access_key_id", "test-access_key_id"), ("secret_access_key", "test-secret_access_key")),
    ),
    "google": AuthKind(
        "a Google service account",
        ('auth: {type: google, key: "${{ secrets.service_account }}"}',),
        (("service_account", "{generate: google_service_account}"),),
        hosts=("oauth2.googleapis.com",),
        login=(
            '- request: {method: POST, url: "https://oauth2.googleapis.com/token"}',
            "  response: {json: {access_token: test-token, expires_in: 3600}}",
        ),
    ),
}
