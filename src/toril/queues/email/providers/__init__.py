"""The ways a mail leaves: one contract in ``base``, one module for each."""
