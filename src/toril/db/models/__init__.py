"""All records of an installation."""
