"""`python -m fashion16.cli`: how the app starts its jobs."""

from fashion16.cli.app import main

if __name__ == "__main__":
    main()
