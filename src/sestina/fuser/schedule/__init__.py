"""From the nodes of a kernel to its loops and what is done in them; nothing here knows a device."""
