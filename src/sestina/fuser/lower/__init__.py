"""From ATen's operations to the nodes of the IR: one table, and the walk over a captured graph."""
