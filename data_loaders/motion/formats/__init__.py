"""The file formats of motions; a new one is one file and one line in `registry`."""
