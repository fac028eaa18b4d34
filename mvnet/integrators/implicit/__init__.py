"""Implicit methods, and how their equations are solved and differentiated: paper section 2.2.1."""
