"""What reports ask the database, as SQLAlchemy expressions; one module for each matter."""
