"""Policies, rollouts, advantages, losses, the training loop and evaluation.

Importing this package alone loads neither torch nor transformers: the modules that need them do.
"""
