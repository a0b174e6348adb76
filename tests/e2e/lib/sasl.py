"""A Postfix whose clients have to log in, by Cyrus SASL."""
import os
import pwd
import shutil
import subprocess

from .peers import Postfix, need
from .world import folder, remove

REALM = "postfix.example.test"


class SaslPostfix(Postfix):
    """mechanisms: what it offers, after STARTTLS only; users: {name: password}. Who is not logged in may send nothing."""

    def __init__(self, certificate, mechanisms, users, settings=None):
        need(shutil.which("saslpasswd2"), "no saslpasswd2 (package sasl2-bin)")
        self.sasl = folder()
        self.database = self.sasl / "sasldb2"
        self.set_passwords(users)
        config = f"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nsasldb_path: {self.database}\nmech_list: {mechanisms}\n"
        super().__init__(deliver=["a.example"], files={"sasl/smtpd.conf": config}, settings={
            "smtpd_tls_security_level": "may", "smtpd_tls_cert_file": certificate.crt, "smtpd_tls_key_file": certificate.key,
            "smtpd_tls_auth_only": "yes", "smtpd_sasl_auth_enable": "yes", "smtpd_sasl_type": "cyrus", "smtpd_sasl_path": "smtpd",
            "smtpd_sasl_local_domain": REALM, "smtpd_sasl_security_options": "noanonymous",
            "smtpd_relay_restrictions": "permit_sasl_authenticated, reject", "smtpd_recipient_restrictions": "permit_sasl_authenticated, reject",
            "smtpd_sasl_authenticated_header": "yes", **(settings or {})})

    def set_passwords(self, users):
        for name, password in users.items():
            subprocess.run(["saslpasswd2", "-c", "-p", "-f", self.database, "-u", REALM, name], input=password, text=True, check=True,
                           timeout=20)
        os.chown(self.database, pwd.getpwnam("daemon").pw_uid, -1)

    def close(self):
        super().close()
        remove(self.sasl)
