"""Files of numbers and nothing else: their shape, type and byte order come from elsewhere."""
