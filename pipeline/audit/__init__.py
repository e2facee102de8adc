"""Measures what masks do, and tests what policies promise."""
