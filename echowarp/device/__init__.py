"""Sources and sinks: sound cards, WAV files, pipes, tone, nothing."""
