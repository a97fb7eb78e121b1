"""From PyTorch to graphs: the backend of `torch.compile` and what AOTAutograd needs from it."""
