"""Web servers with HTTPS, and gateways that trust their authority as they trust the system's."""
import http.server
import shutil
import ssl
import subprocess
import threading
import time

from .peers import need
from .postern import programs
from .world import IS_ROOT, folder, remove

BUNDLE = "/etc/ssl/certs/ca-certificates.crt"


class Trusting:
    """server.programs for a gateway to whose processes `authority` is what the system trusts, in a mount namespace of its own."""

    def __init__(self, authority):
        need(IS_ROOT, "only root mounts files")
        probe = subprocess.run(["unshare", "--mount", "mount", "--bind", str(authority.crt), BUNDLE], capture_output=True, text=True)
        need(probe.returncode == 0, f"no mount namespace, or no {BUNDLE}: {probe.stderr}")
        self.at = folder()
        shutil.copy(programs() / "posternctl", self.at / "posternctl")
        script = self.at / "posternd"
        script.write_text(f"#!/bin/sh\nexec unshare --mount sh -c 'mount --bind {authority.crt} {BUNDLE} && exec \"$0\" \"$@\"' "
                          f"{programs() / 'posternd'} \"$@\"\n")
        script.chmod(0o755)

    def close(self):
        remove(self.at)


class Web:
    """pages: {(host, path): function of the handler}. Each host shows the certificate of its name, as asked for by SNI."""

    def __init__(self, address, certificates, pages=None, port=443):
        self.pages, self.seen, self.bodies = pages or {}, [], []
        self.stopping = threading.Event()
        contexts = {}
        for name, certificate in certificates.items():
            contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            contexts[name].load_cert_chain(certificate.crt, certificate.key)
        first = next(iter(contexts.values()))
        first.sni_callback = lambda sock, name, _: setattr(sock, "context", contexts.get(name, first))
        web = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                host = self.headers["Host"]
                web.seen.append((self.command, host, self.path, dict(self.headers)))
                web.bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
                page = web.pages.get((host, self.path))
                try:
                    (page or text("nothing", status=404))(self)
                except OSError:
                    pass
                self.close_connection = True

            do_POST = do_GET
            stopping = web.stopping

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def finish_request(self, request, client):
                request.settimeout(30)
                with first.wrap_socket(request, server_side=True) as secured:
                    super().finish_request(secured, client)

            def handle_error(self, *_):
                pass  # clients that do not trust us

        self.server = Server((address, port), Handler)
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def asked(self, host):
        return [path for _, name, path, _ in self.seen if name == host]

    def close(self):
        self.stopping.set()
        self.server.shutdown()
        self.server.server_close()


def text(body, status=200, kind="text/plain", **headers):
    body = body if isinstance(body, bytes) else body.encode()

    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
    return answer


def drip(body):
    """A byte now and then, and never the whole."""
    def answer(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/plain")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        for byte in body.encode():
            handler.wfile.write(bytes([byte]))
            if handler.stopping.wait(1):
                return
    return answer


def endless(handler):
    """Of no stated length."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/plain")
    handler.end_headers()
    while not handler.stopping.is_set():
        handler.wfile.write(b"mx: mx.example\r\n" * 1000)
        time.sleep(0.01)
