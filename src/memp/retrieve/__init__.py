"""R(task): retrieve policies, one a file."""
