"""The posterior of a denoised tensor field: how sure is it, and fields that could as well be the truth."""
