"""The fast CPU path of an update: what autograd computes in update.py, written out and tested against it."""
