"""`python -m aisloader`."""

from aisloader.cli import main

if __name__ == "__main__":
    main()
