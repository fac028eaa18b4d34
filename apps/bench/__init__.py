"""`mvnet bench`: how fast this machine, or this cluster, runs what is slow."""
