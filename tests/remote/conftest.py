"""A server for s3:// addresses, and a cache of its own."""

import threading

import pytest
from remote.s3_server import S3Server

from townlet_core.kernels import cache_home


@pytest.fixture
def server(monkeypatch, tmp_path):
    server = S3Server("bucket")
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache_home()))  # of compiled rules, which stay where they are
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
