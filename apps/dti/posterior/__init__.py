"""`mvnet train dti --posterior`, and `--uncertainty` and `--samples` of `mvnet denoise dti`."""
