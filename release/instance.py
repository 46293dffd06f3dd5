"""A Sourcegraph for the self-test, which has one answer; behind HTTPS its certificate comes from a private authority."""

import json
import os
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final


def certificates(folder: Path) -> tuple[Path, Path]:
    """A private authority, and a certificate of its for localhost with its key: made with openssl, unless they are given."""
    given = os.environ.get("SELF_TEST_CERTIFICATES")
    if given:
        return Path(given, "ca.pem"), Path(given, "localhost.pem")
    authority, key, certificate = folder / "ca.pem", folder / "ca.key", folder / "localhost.pem"
    new = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2")
    subprocess.run(
        [*new, "-keyout", key, "-out", authority, "-subj", "/CN=Self-test CA"],
        check=True,
        capture_output=True,
    )
    subprocess.run(
        [
            *(*new, "-keyout", folder / "localhost.key", "-out", certificate, "-subj", "/CN=localhost"),
            *("-CA", authority, "-CAkey", key, "-addext", "subjectAltName=DNS:localhost"),
            *("-addext", "basicConstraints=critical,CA:FALSE"),
        ],
        check=True,
        capture_output=True,
    )
    with certificate.open("a") as file:
        file.write(authority.read_text() + (folder / "localhost.key").read_text())
    return authority, certificate


TOKEN: Final = "sgp_self-test-token"  # noqa: S105 - nobody's


def account(port: int, scheme: str = "http") -> dict[str, str]:
    """The variables of a user of an instance on this machine."""
    return {"SOURCEGRAPH_BASE_URL": f"{scheme}://localhost:{port}", "SOURCEGRAPH_API_TOKEN": TOKEN}


class Sourcegraph(BaseHTTPRequestHandler):
    """An instance that has nothing but the LLM API, and one answer."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Know nothing."""
        self._answer(404, b"404 page not found\n", "text/plain")

    def do_POST(self) -> None:
        """Answer a chat."""
        self.rfile.read(int(self.headers["content-length"] or 0))
        if not self.path.startswith("/.api/llm/chat/completions"):
            self.do_GET()
            return
        choice = {"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
        self._answer(200, json.dumps(reply).encode(), "application/json")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
        """Say nothing."""


class Quiet(ThreadingHTTPServer):
    """A server that is not surprised by clients that refuse its certificate."""

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing."""


@contextmanager
def upstream(certificate: Path | None = None) -> Iterator[int]:
    """An instance on a port of this machine, behind HTTPS where there is a certificate."""
    with Quiet(("127.0.0.1", 0), Sourcegraph) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            serving.join()
