"""What damaged files and kills do to the readers, the checkpoints and the writers."""
