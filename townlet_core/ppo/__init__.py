"""The learner, the only room that imports torch.

Read config → network → advantages → losses → update. There, autograd computes the gradient; cpu/ computes
the same faster on the CPU. Then cloning, normalisers, and checkpoint.
"""
