"""The cleanup queue: what has had its time goes."""
