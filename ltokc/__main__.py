"""`python -m ltokc`: the command line."""

from ltokc.cli import main

if __name__ == "__main__":
    main()
