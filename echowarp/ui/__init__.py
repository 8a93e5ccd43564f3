"""The terminal: live line, prompts, log set-up."""
