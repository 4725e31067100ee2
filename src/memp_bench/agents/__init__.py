"""Agents and simulated backbones."""
