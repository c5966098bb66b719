"""A small provider of OpenID Connect: keys, tokens, and a URL with its key set, which can misbehave in the ways that providers do."""

from __future__ import annotations

import json
import ssl
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from support.harness import HOST, free_port
from support.tls import Authority

AUDIENCE = "https://authkv.example"
CLIENT = "app"
PREFIX = "corp:"

_ALGORITHMS = {"RSA": RSAAlgorithm, "EC": ECAlgorithm, "OKP": OKPAlgorithm}


def make_key(algorithm: str):
    """A private key for an algorithm."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm.startswith("ES"):
        return ec.generate_private_key({"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}[algorithm])
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def jwk_of(key, **members) -> dict:
    """The public half as a JSON Web Key, with these members; one that is None is left out."""
    kind = {rsa.RSAPrivateKey: "RSA", ec.EllipticCurvePrivateKey: "EC", ed25519.Ed25519PrivateKey: "OKP"}
    name = next(name for of, name in kind.items() if isinstance(key, of))
    jwk = json.loads(_ALGORITHMS[name].to_jwk(key.public_key()))
    jwk.pop("key_ops", None)
    return {name: value for name, value in (jwk | members).items() if value is not None}


class Provider:
    """Signs tokens, and serves its key set at a URL while it is up. `answer` replaces the answer to one request after another."""

    def __init__(self, name: str = "corp", algorithm: str = "RS256", authority: Authority | None = None):
        self.directory = Path(tempfile.mkdtemp(prefix="authkv-provider-"))
        self.port = free_port()
        self.scheme = "https" if authority else "http"
        self.authority = authority
        self.issuer = f"https://{name}.example/realms/one"
        self.keys = {f"{name}-1": make_key(algorithm)}
        self.algorithm = algorithm
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.cache_control = "public, max-age=1"
        # The headers of each request.
        self.seen: list[Message] = []
        self._extra: dict[str, dict] = {}
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"{self.scheme}://{HOST}:{self.port}/jwks"

    @property
    def kid(self) -> str:
        """The id of the newest key."""
        return list(self.keys)[-1]

    def rotate(self) -> str:
        """Replaces all keys by a new one, and gives its id."""
        kid = f"{self.kid}-next"
        self.keys = {kid: make_key(self.algorithm)}
        return kid

    def key_set(self, **members) -> dict:
        return {"keys": [jwk_of(key, kid=kid, use="sig", **members) for kid, key in self.keys.items()]}

    def claims(self, sub: str = "alice", **members) -> dict:
        """The claims of an access token; one that is None is left out."""
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": AUDIENCE, "sub": sub, "client_id": CLIENT, "iat": now, "exp": now + 600,
            "jti": f"{sub}-{time.time_ns()}",
        }  # fmt: skip
        return {name: value for name, value in (claims | members).items() if value is not None}

    def token(self, sub: str = "alice", header: dict | None = None, key=None, algorithm: str | None = None, **members) -> str:
        """An access token (RFC 9068). A member of the header that is None is left out."""
        members_of_header = {"typ": "at+jwt", "kid": self.kid} | (header or {})
        return jwt.encode(
            self.claims(sub, **members), key or self.keys[self.kid], algorithm or self.algorithm, headers=members_of_header
        )  # fmt: skip

    def entry(self, **members) -> dict:
        """The entry of the file of issuers; a member that is None is left out."""
        entry = {
            "issuer": self.issuer,
            "keys": {"url": self.url, "refresh_min": 1, "refresh_max": 2, "refetch_pause": 1, "timeout": 1}
            | ({"ca_file": str(self.authority.file)} if self.authority else {}),
            "audience": [AUDIENCE], "algorithms": [self.algorithm], "login_prefix": PREFIX, "create": True,
        }  # fmt: skip
        return {name: value for name, value in (entry | members).items() if value is not None}

    def key_file(self) -> str:
        """A file with the present key set."""
        file = self.directory / f"{self.kid}.json"
        file.write_text(json.dumps(self.key_set()))
        return str(file)

    def start(self) -> Provider:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                provider.seen.append(self.headers)
                if provider.answer is not None:
                    provider.answer(self)
                else:
                    provider.give(self)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            # Clients go away in the middle, as is tested.
            handle_error = lambda *_: None  # noqa: E731

        self._server = Server((HOST, self.port), Handler)
        if self.authority:
            cert, key = self.authority.issue("provider")
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(cert, key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def give(self, request: BaseHTTPRequestHandler) -> None:
        """The key set with its tag, or that it is still the same."""
        body = json.dumps(self.key_set()).encode()
        tag = f'"{abs(hash(body))}"'
        same = request.headers.get("If-None-Match") == tag
        send(request, 304 if same else 200, b"" if same else body, ETag=tag, **{"Cache-Control": self.cache_control})

    def stop(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Provider:
        return self.start()

    def __exit__(self, *_) -> None:
        self.stop()


def send(request: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
    with suppress(OSError):
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        if status != 304:
            request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)


def trusting(directory: Path, *entries: dict) -> dict:
    """Settings that trust these issuers."""
    file = directory / "issuers.json"
    file.write_text(json.dumps({"issuers": entries}))
    return {"AUTHKV_TRUSTED_ISSUERS": str(file)}
