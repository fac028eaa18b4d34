"""What is looked at of a file before anything of it is decoded: codecs, sources, sizes."""
