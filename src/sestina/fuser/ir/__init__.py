"""The tensors and operations of a graph, between what was captured and what is generated."""
