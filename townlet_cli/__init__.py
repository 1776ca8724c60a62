"""The `townlet` command line: parse, call one core function, print, exit."""
