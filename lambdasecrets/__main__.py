"""`python -m lambdasecrets`: the command line."""

from lambdasecrets.dev.cli import main

if __name__ == "__main__":
    main()
