"""Formats of exports."""
