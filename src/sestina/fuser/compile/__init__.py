"""Machine code from generated source, in this process."""
