"""Doubles and conformance checks, for memp and for its users."""
