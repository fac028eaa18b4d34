"""Ordinary images, generated."""
