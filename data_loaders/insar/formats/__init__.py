"""The file formats of interferograms; a new one is one line in `registry`."""
