"""The learner: network, advantages, losses, update, checkpoint. The only room that imports torch."""
