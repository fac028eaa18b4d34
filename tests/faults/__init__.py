"""Attacks: what damaged, hostile and changing files must not do."""
