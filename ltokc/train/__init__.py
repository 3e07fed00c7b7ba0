"""From pictures to a model: the training loop, the halting head, the files of a model."""
