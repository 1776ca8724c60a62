"""A small S3 server in memory: objects, lists by delimiter, and If-None-Match; faults on demand."""

import re
import threading
from contextlib import suppress
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape, unescape


class S3Server(ThreadingHTTPServer):
    """Buckets of objects. `fault` is asked before every request: a status and code to answer, or None."""

    daemon_threads = True

    def __init__(self, *buckets):
        super().__init__(("127.0.0.1", 0), Handler)
        self.buckets = {name: {} for name in buckets}
        self.lock = threading.Lock()
        self.fault = lambda method, key, data: None
        self.log = []

    @property
    def variables(self):
        return {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }


class Handler(BaseHTTPRequestHandler):
    """The requests that obstore makes."""

    protocol_version = "HTTP/1.1"

    def handle(self):
        with suppress(ConnectionError):  # of a client that was killed
            super().handle()

    def log_message(self, *arguments):
        pass

    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status, code):
        self.answer(status, f"<Error><Code>{code}</Code><Message>no</Message></Error>".encode())

    def handle_request(self):
        """Answer one request. The lock makes put-if-absent what it is in S3: one of two wins."""
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.log.append((self.command, key))
        if fault := self.server.fault(self.command, key, data):
            return self.refuse(*fault)
        with self.server.lock:
            objects = self.server.buckets.get(bucket)
            if objects is None:
                return self.refuse(404, "NoSuchBucket")
            return getattr(self, f"on_{self.command}")(objects, key, data, parse_qs(parts.query, True))

    do_GET = do_PUT = do_POST = do_DELETE = handle_request

    def on_PUT(self, objects, key, data, query):
        if self.headers.get("If-None-Match") == "*" and key in objects:
            return self.refuse(412, "PreconditionFailed")
        objects[key] = data
        return self.answer(200, ETag=f'"{md5(data).hexdigest()}"')

    def on_GET(self, objects, key, data, query):
        if not key:
            return self.list(objects, query["prefix"][0] if "prefix" in query else "")
        if key not in objects:
            return self.refuse(404, "NoSuchKey")
        about = {"ETag": f'"{md5(objects[key]).hexdigest()}"', "Last_Modified": formatdate(0, usegmt=True)}
        return self.answer(200, objects[key], **about)

    def on_POST(self, objects, key, data, query):
        keys = [unescape(text) for text in re.findall("<Key>(.*?)</Key>", data.decode())]
        assert "delete" in query
        for one in keys:
            objects.pop(one, None)
            self.server.log.append(("DELETE", one))
        deleted = "".join(f"<Deleted><Key>{escape(one)}</Key></Deleted>" for one in keys)
        return self.answer(200, f"<DeleteResult>{deleted}</DeleteResult>".encode())

    def on_DELETE(self, objects, key, data, query):  # of older versions of obstore, one by one
        objects.pop(key, None)
        return self.answer(204)

    def list(self, objects, prefix):
        names = [key for key in sorted(objects) if key.startswith(prefix) and "/" not in key[len(prefix) :]]
        entries = "".join(
            f"<Contents><Key>{escape(key)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            f"<Size>{len(objects[key])}</Size><ETag>x</ETag></Contents>"
            for key in names
        )
        self.answer(
            200, f"<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>".encode()
        )
