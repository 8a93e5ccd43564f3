"""PCM only: formats, jitter buffer, concealment, meters."""
