"""Training of the generator on frozen tokens: states, losses, discriminator, loop."""
