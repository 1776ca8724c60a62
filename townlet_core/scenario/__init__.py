"""What people write: a town on a page of YAML, checked line by line before anything runs."""
