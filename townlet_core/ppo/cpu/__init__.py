"""The fast CPU path of an update, tested against the autograd path in update.py."""
