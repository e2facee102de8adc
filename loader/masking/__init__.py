"""Masks as pure functions of (row seed, epoch, policy)."""
