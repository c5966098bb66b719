"""A small certificate authority, and an instance with a certificate of it."""

from __future__ import annotations

import datetime
import ipaddress
import subprocess
from pathlib import Path

import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from support.harness import DEADLINE, HOST, Instance, free_port


class Authority:
    """Issues certificates into a directory; its own is `ca.pem` there."""

    def __init__(self, directory: Path, name: str = "authkv tests"):
        self.directory = directory
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(*[False] * 5, key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False)
        self.certificate = (
            self._builder(self.name, self.key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(self.key, hashes.SHA256())
        )
        self.file = directory / f"{name.replace(' ', '-')}.pem"
        self.file.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def issue(self, name: str, client: bool = False) -> tuple[Path, Path]:
        """The files of a certificate for 127.0.0.1 and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        certificate = (
            self._builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]), key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        cert_file, key_file = self.directory / f"{name}.crt", self.directory / f"{name}.key"
        cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        key_file.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
        return cert_file, key_file


class Secured:
    """An instance with TLS on one port, plain HTTP on another, and a unix socket."""

    def __init__(self, directory: Path, **settings: str):
        self.authority = Authority(directory)
        self.cert, self.key = self.authority.issue("server")
        self.port = free_port()
        self.socket = directory / "http.sock"
        self.instance = Instance(AUTHKV_HTTP_TLS_CERT_FILE=str(self.cert), AUTHKV_HTTP_TLS_KEY_FILE=str(self.key), **settings)
        plain = self.instance.settings["AUTHKV_HTTP_LISTEN"]
        self.instance.settings["AUTHKV_HTTP_LISTEN"] = f"{plain},https://{HOST}:{self.port},unix:{self.socket}"
        self.url = f"https://{HOST}:{self.port}"

    def check(self, **options) -> requests.Response:
        options.setdefault("verify", str(self.authority.file))
        return requests.post(f"{self.url}/api/check/", json={"authorization": "Bearer x"}, timeout=DEADLINE, **options)

    def curl(self, *arguments: str) -> str:
        command = ["curl", "-sS", "--max-time", str(DEADLINE), "--cacert", str(self.authority.file), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
