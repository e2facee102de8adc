"""Premask: prepare a corpus once, train any objective, replay any mask."""
