"""The stages of a fit: which volumes, missing values, outliers, the level of the noise, the floor of magnitudes."""
