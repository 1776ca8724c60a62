"""Studies: a plan of training runs over scenarios, methods and seeds, run by any number of processes."""
