"""What is asked of the records, one module for each kind of them."""
