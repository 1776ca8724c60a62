"""One thread for torch: small networks on a shared machine lose more by waiting for a second than they gain."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # subprocesses inherit it
