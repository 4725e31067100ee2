"""B(tau, r): build policies, one a file."""
