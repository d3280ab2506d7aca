"""Outside services on a port of this machine, for tests and demonstrations: real HTTP, and answers as documented.

Each module plays one kind of service. ``server`` runs it, keeps what it was asked, and can make it fail in every way a
service does.
"""
