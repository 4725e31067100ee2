"""U(M, E, tau): update policies, one a file."""
