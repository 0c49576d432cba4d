"""`python -m sim.cli`."""

from sim.cli.entry import main

if __name__ == "__main__":
    main()
