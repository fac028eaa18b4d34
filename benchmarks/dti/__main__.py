"""`python -m benchmarks.dti`: see `accuracy.py`."""

from benchmarks.dti.accuracy import main

if __name__ == "__main__":
    main()
