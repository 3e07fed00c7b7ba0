"""The benchmarks, sorted by purpose.  `python -m bench` lists them, `python -m bench NAME --help` explains one."""
