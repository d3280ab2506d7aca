"""The sync queue: what the firm's outside services know, brought into its records."""
