"""Codecs, sources and sizes are looked at before a file is decoded."""
