"""A denoiser with a proof: two inputs never leave it farther apart than they came."""
