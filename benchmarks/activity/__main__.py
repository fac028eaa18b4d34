"""`python -m benchmarks.activity`: see `accuracy.py`."""

from benchmarks.activity.accuracy import main

if __name__ == "__main__":
    main()
