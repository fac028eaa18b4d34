"""`python -m benchmarks.insar`: see `accuracy.py`."""

from benchmarks.insar.accuracy import main

if __name__ == "__main__":
    main()
