"""Stores: where a memory is kept."""
