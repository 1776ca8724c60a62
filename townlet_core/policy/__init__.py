"""Policies: the scripted policy, which needs no torch, and the learned one."""
