"""A report on training runs: one page, or pictures, from run directories and logs."""
