"""What an objects file needs to know of passwords: verifiers, as posternctl export --secrets writes them."""
import base64
import ctypes
import hashlib
import os

from .tls import mac

_crypt = ctypes.CDLL("libcrypt.so.1").crypt
_crypt.restype = ctypes.c_char_p


def crypt(password, setting="$6$rounds=1000$"):
    """Cheap, since tests log in often."""
    salt = base64.b64encode(os.urandom(9), b"./").decode()
    return _crypt(password.encode(), (setting + salt).encode()).decode()


def scram(password, iterations=4096):
    salt = os.urandom(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    keys = hashlib.sha256(mac(salted, b"Client Key")).digest(), mac(salted, b"Server Key")
    return ":".join(["scram-sha-256", str(iterations), *(base64.b64encode(one).decode() for one in (salt, *keys))])


def verifiers(password):
    return f"crypt:{crypt(password)} {scram(password)}"
