"""Documents of each type: what stands on them, formatted, and the HTML around it."""
