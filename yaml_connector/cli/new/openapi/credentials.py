"""Finds the server and the kind of credentials in an OpenAPI document."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import urljoin, urlsplit

from yaml_connector.cli.new.openapi.document import Document, Node, Operation

_PLACEHOLDER = "https://api.example.com"


@dataclass(frozen=True)
class Credentials:
    """A kind of credentials, as `new --auth` names it, with its values, further hosts, and comments to decide on."""

    auth: str
    values: dict[str, str] = field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def server_of(call: Operation) -> tuple[str, list[str]]:
    """Return the base URL of a call, with the defaults of its variables, and comments to decide on.

    The servers of the call itself and of its path count before those of the document.
    """
    document = call.document
    holders = (call.node, document.paths.get(call.path, {}), document.data)
    servers = next((holder["servers"] for holder in holders if holder.get("servers")), None)
    known = [document.node(item) for item in servers if item] if isinstance(servers, list) else []
    url = str(known[0].get("url", "")) if known else ""
    notes = []
    for name, about in document.node(known[0].get("variables") if known else None).items():
        default = str(document.node(about).get("default", "my-" + str(name)))
        url = url.replace(f"{{{name}}}", default)
        notes.append(f"{name} in the URL is set to {default}: change it if needed")
    url = re.sub(r"\{(\w+)\}", r"my-\1", url)
    if not re.match(r"https?://", url):
        notes.append("the document has no server: write the API's host into base_url")
        url = urljoin(_PLACEHOLDER + "/", url)
    if len(known) > 1:
        notes.append(f"other servers: {', '.join(str(item.get('url')) for item in known[1:6])}")
    url = url.rstrip("/")
    return (url if re.fullmatch(r"https?://[\w.:/~%-]+", url) else _PLACEHOLDER), notes


def schemes_of(document: Document) -> dict[str, Node]:
    """Return the kinds of credentials that the document names."""
    listed = document.node(document.node(document.data.get("components")).get("securitySchemes"))
    return {str(name): document.node(raw) for name, raw in listed.items()}


def credentials_of(call: Operation, base_url: str) -> Credentials:
    """Return the first kind of credentials that the call accepts and the spec language has."""
    schemes = schemes_of(call.document)
    listed = call.node.get("security", call.document.data.get("security"))
    needs = [list(item) for item in listed if isinstance(item, dict)] if isinstance(listed, list) else []
    needs = [names for names in needs if all(name in schemes for name in names)] or [[name] for name in schemes]
    kinds = {name: _credentials(scheme, base_url) for name, scheme in schemes.items()}
    found = [(names, kind) for names in needs if (kind := next(filter(None, map(kinds.get, names)), None))]
    if not found:
        names = [name for need in needs for name in need]
        if not names:
            return Credentials("none", notes=("the document names no credentials: does the API need any?",))
        return Credentials("bearer", notes=(f"the document requires {', '.join(names)}: which kind of auth is that?",))
    alone = [pair for pair in found if len(pair[0]) == 1] or found
    names, chosen = alone[0]
    others = dict.fromkeys(" with ".join(other) for other in needs if other and other != names)
    notes = [f"auth is {' with '.join(names)} of the document: do you use that?", *chosen.notes]
    if others:
        notes.append(f"the API also accepts: {', '.join(others)}")
    return replace(chosen, notes=tuple(notes))


def _credentials(scheme: Node, base_url: str) -> Credentials | None:
    kind, http = str(scheme.get("type")), str(scheme.get("scheme", "")).lower()
    if kind == "http" and http in ("bearer", "basic"):
        return Credentials(http)
    if kind == "apiKey" and scheme.get("in") in ("header", "query"):
        name = str(scheme.get("name", "X-API-Key"))
        notes = ("is the header only the key, or a word and the key (`Token KEY`)?",) if name == "Authorization" else ()
        return Credentials("api_key", {"in": str(scheme["in"]), "name": name}, notes=notes)
    flows = scheme.get("flows") if kind == "oauth2" else None
    if isinstance(flows, dict) and isinstance(flows.get("clientCredentials"), dict):
        return _client_credentials(str(flows["clientCredentials"].get("tokenUrl", "oauth/token")), base_url)
    if isinstance(flows, dict) and isinstance(flows.get("password"), dict):
        login = str(flows["password"].get("tokenUrl", ""))
        values = {"login": login} if re.fullmatch(r"/[\w./~%-]+", login) else {}
        notes = ("what does the login send and return? (yaml-connector explain connection.auth.token)",)
        return Credentials("token", values, notes=notes)
    if kind in ("oauth2", "openIdConnect"):
        return Credentials("bearer", notes=("where does the token come from?",))
    return None


def _client_credentials(token_url: str, base_url: str) -> Credentials:
    whole = urljoin(f"{base_url}/", token_url)
    if not re.fullmatch(r"https?://[\w.:/~%-]+", whole):
        return Credentials("oauth2")
    if whole.startswith(f"{base_url}/"):
        return Credentials("oauth2", {"token_url": f"<base_url>{whole.removeprefix(base_url)}"})
    return Credentials("oauth2", {"token_url": whole}, hosts=(urlsplit(whole).netloc,))
