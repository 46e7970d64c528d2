"""TLS with a certificate of the server's own, made at its first start and kept with its data.

Clients that want more than encryption (sslmode=verify-ca) are given `tls/server.crt`; an operator may put a
certificate and key of their own in its place.
"""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sixfold.kernel._kernel import TlsConfig
from sixfold.server.policy import Secured

VALID_DAYS = 3650


def server_config(folder: Path, now: datetime.datetime) -> Secured:
    """For `folder`'s certificate; makes it on first use. OSError when the folder can't be used, ValueError when its files are no good."""
    certificate, key = folder / "server.crt", folder / "server.key"
    if not (certificate.exists() and key.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        _make_certificate(certificate, key, now)
    chain = certificate.read_bytes()
    return Secured(TlsConfig(chain, key.read_bytes()), _binding(chain))


def _binding(chain: bytes) -> bytes | None:
    """By the hash function of the certificate's signature, but for MD5 and SHA-1, which SHA-256 stands for (RFC 5929, section 4.1)."""
    leaf = x509.load_pem_x509_certificates(chain)[0]
    used = leaf.signature_hash_algorithm
    if used is None:
        return None
    return leaf.fingerprint(hashes.SHA256() if used.name in ("md5", "sha1") else used)


def _make_certificate(certificate: Path, key: Path, now: datetime.datetime) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sixfold")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    plain = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    _write(key, plain, mode=0o600)
    _write(certificate, built.public_bytes(serialization.Encoding.PEM), mode=0o644)


def _write(path: Path, data: bytes, mode: int) -> None:
    temporary = path.with_suffix(path.suffix + ".new")
    temporary.touch(mode=mode)
    temporary.write_bytes(data)
    temporary.replace(path)
