"""CPace, key schedule, ciphers and the replay window."""
