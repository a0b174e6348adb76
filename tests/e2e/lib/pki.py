"""An authority and its certificates, for tests: as PEM files, with the keys of the kinds that mail servers have."""
import datetime
import hashlib
import ipaddress
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER
# Making an RSA key takes long, and which one it is does not matter.
_rsa_keys = []


def make_key(kind="ec"):
    if kind == "rsa":
        if not _rsa_keys:
            _rsa_keys.append(rsa.generate_private_key(65537, 2048))
        return _rsa_keys[0]
    return ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())


def secret_number(key):
    """What must not be found in the memory of others: a prime, the scalar, or the seed, in both orders of its bytes."""
    if isinstance(key, rsa.RSAPrivateKey):
        p = key.private_numbers().p
        whole = p.to_bytes((p.bit_length() + 7) // 8, "big")
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        whole = key.private_numbers().private_value.to_bytes(32, "big")
    else:
        whole = key.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())
    return whole, whole[::-1]


class Certificate:
    """In two files: `crt` (with its chain) and `key`."""

    def __init__(self, folder, name, certificate, key, chain=()):
        self.certificate, self.private = certificate, key
        self.crt, self.key = pathlib.Path(folder) / f"{name}.crt", pathlib.Path(folder) / f"{name}.key"
        _write(self.crt, b"".join(one.public_bytes(PEM) for one in (certificate, *chain)), 0o644)
        _write(self.key, key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()), 0o600)

    @property
    def files(self):
        """As the start file has them."""
        return {"certificate": str(self.crt), "key": str(self.key)}

    @property
    def der(self):
        return self.certificate.public_bytes(DER)

    @property
    def pin(self):
        return "sha256:" + hashlib.sha256(self.der).hexdigest()

    @property
    def key_pin(self):
        spki = self.certificate.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return "sha256:" + hashlib.sha256(spki).hexdigest()


def _write(path, data, mode):
    """As those who renew certificates do: another file of that name, whole from the beginning."""
    new = path.with_name(path.name + ".new")
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as f:
        f.write(data)
    new.rename(path)


class Authority:
    def __init__(self, folder, name="Test CA"):
        self.folder = pathlib.Path(folder)
        self.key = make_key()
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        self.certificate = self._builder(self.name, self.key, 365).add_extension(x509.BasicConstraints(True, None), True) \
            .add_extension(usage, True).sign(self.key, hashes.SHA256())
        self.crt = self.folder / (name.lower().replace(" ", "-") + ".crt")
        _write(self.crt, self.certificate.public_bytes(PEM), 0o644)

    def _builder(self, subject, key, days):
        now = datetime.datetime.utcnow()
        end = now + datetime.timedelta(days=days)
        return x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key()) \
            .serial_number(x509.random_serial_number()).not_valid_before(min(now, end) - datetime.timedelta(days=1)) \
            .not_valid_after(end)

    def issue(self, *names, kind="ec", days=90, file=None, client=False, key=None):
        """A certificate for these host names and addresses; of a client: for this name of a person or machine."""
        key = key or make_key(kind)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        builder = self._builder(subject, key, days).add_extension(x509.BasicConstraints(False, None), True)
        if client:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        else:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), False) \
                .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        return Certificate(self.folder, file or names[0].replace("*", "any"), builder.sign(self.key, hashes.SHA256()), key)


def _general_name(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
