"""What `mvnet predict activity` answers: for recordings, for windows of them, for frames as they come."""
