"""One thread for torch: on a shared machine small networks lose more by waiting than they gain."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # subprocesses inherit it
