"""Run directories from outside: what stands in them, how runs differ, and which are old."""
