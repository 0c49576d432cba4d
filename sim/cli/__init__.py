"""The command line: thin, imports lazily.

Exit codes: 0 done; 2 bad input; 3 the scenario cannot work, with the smallest thing that would; 130 interrupted.
"""

from sim.cli.entry import main, run_script

__all__ = ["main", "run_script"]
