"""The coherence of an interferogram: its unit, and its values on the grid of the interferogram."""
