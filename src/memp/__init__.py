"""Procedural memory for LLM agents: build, retrieve and update procedures (Mem^p, arXiv 2508.06433)."""
