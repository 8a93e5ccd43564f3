"""One declarative table of options, three readers of it, two writers."""
